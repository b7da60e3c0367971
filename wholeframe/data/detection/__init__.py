"""Images with labelled objects: boxes, masks, keypoints.

layouts.py          finds out in which format a folder is, and reads its splits
annotations.py      the values that every format is read into, and what was left out of them
coco_format.py      COCO's JSON files, with coco_layouts (where they lie), coco_objects, run_lengths and json_values
yolo_format.py      a text file per image, with yolo_yaml (data.yaml) and yolo_lines
voc_format.py       an XML file per image
image_files.py      the image that an annotation names
polygons.py         area of a polygon, and the box around it
masks.py            polygons and run lengths -> masks
dataset.py          images and targets, with transforms.py
"""
