"""Pictures for training, drawn by the number: `scene.draw(seed)` -> Scene, `picture.paint(scene)` -> PIL image,
`captions.caption(scene, random)` -> text and what it tells. The Scene is the ground truth for `modules.evaluation`.
"""
