"""The report of a comparison: one HTML file with tables, curves, costs and pictures, which needs no network."""

from wholeframe.explain.report.content import Arm as Arm
from wholeframe.explain.report.content import Content as Content
from wholeframe.explain.report.content import Group as Group
from wholeframe.explain.report.content import Picture as Picture
from wholeframe.explain.report.write import html_report as html_report
