"""The stages of the pipeline, one module a recipe: ``build(recipe, inputs, out, progress)`` writes a run's files.

Each imports only what its result depends on, since a run is made anew when any module that its stage imports changes.
"""
