"""Images with labelled objects: boxes, masks, keypoints.

annotations.py      the values that every format is read into, and what was left out of them
coco_format.py      COCO's JSON files
yolo_format.py      a text file per image
voc_format.py       an XML file per image
region.py           boxes, polygons and run lengths -> masks
"""
