"""Videos: files, clips and lists of labels. Needs PyAV (`pip install 'wholeframe[video]'`).

What there is to read:

- `clip_folder`: open a folder or a list of labelled videos (`open_clips`).
- `from_folders`, `from_lists`: the layouts it reads.
- `csv_lists`, `bare_lists`: lists with and without names of columns (`list_rows`, `list_text`, `find_videos`).
- `segments`: labelled parts of videos, and the folder that holds them.
- `infos`: check every file of a folder.

From a segment to tensors:

- `sampling`: which frames make a clip.
- `crops`, `region`: which part of a frame a network sees, and in which colours.
- `views`: how many clips and crops of one video are evaluated.
- `dataset`: all of it as a data set, for training and for evaluation; `failures`: what could not be read.

Decoding:

- `file`: read the length and the requested frames of one video.
- `frames_folder`: the same for a folder of numbered images.
- `formats`, `extensions`: which files are videos, by content.
- `opened`, `info`: a file that is open, and what is known of it.
- `probe`, `length`: how many frames a file has, when they are displayed, and how much is missing.
- `decode`: decode no more of a file than these frames need.
- `filters`: crop and scale a frame before it is converted to RGB.
"""
