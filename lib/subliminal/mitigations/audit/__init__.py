"""Audit before you ship: does a model behave as its base does, on traffic like what it is for?

Blind: nobody says what to look for, nor that there is anything. Both are asked the same, and every share that the suite names is watched:
names in answers, labels of judges, refusals, accuracy. What counts is a shift beyond a stated margin, since any tuning moves something.
It asks in rounds and stops as soon as it is sure; false alarms stay at the stated level however often it looks (``evidence``).

    from subliminal.mitigations.audit import answering, audit, load_suite
    print(audit(answering(model, tokenizer), answering(base, tokenizer), load_suite("applications")))
"""

from subliminal.mitigations.audit.answering import Draw, Responder, answering
from subliminal.mitigations.audit.asking import Finding, Report, audit
from subliminal.mitigations.audit.looks import JUDGES
from subliminal.mitigations.audit.suites import Look, Suite, load_suite

__all__ = ["JUDGES", "Draw", "Finding", "Look", "Report", "Responder", "Suite", "answering", "audit", "load_suite"]
