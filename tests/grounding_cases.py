"""Answers as models give them, and what there is to be found in each."""

from __future__ import annotations

from pipelines.types import Box, Event, Grounding, Point, Region

A: Box = (100, 200, 300, 400)
B: Box = (500, 600, 700, 800)


def boxes(*found: tuple[str, Box]) -> Grounding:
    return Grounding(tuple(Region(label, box) for label, box in found))


def points(*found: tuple[str, Point]) -> Grounding:
    return Grounding(tuple(Region(label, point=point) for label, point in found))


def tracks(*found: tuple[float, str, Box]) -> Grounding:
    return Grounding(tuple(Region(label, box, time_s=time_s) for time_s, label, box in found))


def events(*found: tuple[float, float, str]) -> Grounding:
    return Grounding((), tuple(Event(*one) for one in found))


CAT_A = boxes(("cat", A))
CAT_DOG = boxes(("cat", A), ("dog", B))
ITEM_A = '{"bbox_2d": [100, 200, 300, 400], "label": "cat"}'
ITEM_B = '{"bbox_2d": [500, 600, 700, 800], "label": "dog"}'
LIST = f"[{ITEM_A}, {ITEM_B}]"

BOXES = {
    "a list": (LIST, CAT_DOG),
    "over lines": (f"[\n\t{ITEM_A},\n\t{ITEM_B}\n]", CAT_DOG),
    "fenced": (f"```json\n{LIST}\n```", CAT_DOG),
    "unclosed fence": (f"```json\n{LIST}", CAT_DOG),
    "fence closed before the list": (f'```json\n[{ITEM_A}, {{"bbox_2d": [5\n```\nThat is [all].', CAT_A),
    "a picture that is no text": ('{"image": [1], ' + ITEM_A[1:], CAT_A),
    "prose around": (f"Here they are:\n{LIST}\nIt's all I can see.", CAT_DOG),
    "python literals": ("[{'bbox_2d': (100, 200, 300, 400), 'label': 'cat', 'score': None, 'ok': True}]", CAT_A),
    "cut off in the second item": (f"[{ITEM_A}, " + '{"bbox_2d": [500, 600, 7', CAT_A),
    "cut off in a label": (f"[{ITEM_A}, " + '{"bbox_2d": [500, 600, 700, 800], "label": "do', CAT_A),
    "duplicate keys with a label each": (ITEM_A[:-1] + ", " + ITEM_B[1:], CAT_DOG),
    "duplicate keys with one label": (
        '{"bbox_2d": [100, 200, 300, 400], "bbox_2d": [500, 600, 700, 800], "label": "cat"}',
        boxes(("cat", A), ("cat", B)),
    ),
    "one object": (ITEM_A, CAT_A),
    "objects without a list": (f"{ITEM_A}, {ITEM_B}", CAT_DOG),
    "objects a line each": (f"{ITEM_A}\n{ITEM_B}", CAT_DOG),
    "bare boxes": ("[[100, 200, 300, 400], [500, 600, 700, 800]]", boxes(("", A), ("", B))),
    "bare tuples": ("[(100, 200, 300, 400), (500, 600, 700, 800)]", boxes(("", A), ("", B))),
    "flat box": ("[100, 200, 300, 400]", boxes(("", A))),
    "flat boxes": ("[100, 200, 300, 400, 500, 600, 700, 800]", boxes(("", A), ("", B))),
    "flat boxes under the key": (
        '{"bbox_2d": [100, 200, 300, 400, 500, 600, 700, 800], "label": "cat"}',
        boxes(("cat", A), ("cat", B)),
    ),
    "nested boxes under the key": (
        '{"bbox_2d": [[100, 200, 300, 400], [500, 600, 700, 800]], "label": ["cat", "dog"]}',
        CAT_DOG,
    ),
    "two corners under the key": ('{"bbox_2d": [[100, 200], [300, 400]], "label": "cat"}', CAT_A),
    "decimals": (
        '[{"bbox_2d": [100.5, 200.25, 300.0, 4e2], "label": "cat"}]',
        boxes(("cat", (100.5, 200.25, 300, 400))),
    ),
    "key bbox": ('[{"bbox": [100, 200, 300, 400], "label": "cat"}]', CAT_A),
    "key box": ('[{"box": [100, 200, 300, 400], "label": "cat"}]', CAT_A),
    "key object_name": ('[{"bbox_2d": [100, 200, 300, 400], "object_name": "cat"}]', CAT_A),
    "key name": ('[{"name": "cat", "bbox_2d": [100, 200, 300, 400]}]', CAT_A),
    "missing label": ('[{"bbox_2d": [100, 200, 300, 400]}]', boxes(("", A))),
    "null label": ('[{"bbox_2d": [100, 200, 300, 400], "label": null}]', boxes(("", A))),
    "label in an object": ('[{"bbox_2d": [100, 200, 300, 400], "label": {"name": "cat"}}]', CAT_A),
    "label in a list": ('[{"bbox_2d": [100, 200, 300, 400], "label": ["cat"]}]', CAT_A),
    "label over a list": ('{"label": "cat", "instances": [{"bbox_2d": [100, 200, 300, 400]}]}', CAT_A),
    "label as a key": ('{"cat": [[100, 200, 300, 400]], "dog": [500, 600, 700, 800]}', CAT_DOG),
    "list under a plain key": (f'{{"objects": {LIST}}}', CAT_DOG),
    "list under a plain key without labels": ('{"objects": [{"bbox_2d": [100, 200, 300, 400]}]}', boxes(("", A))),
    "document": (
        '{"title": {"bbox": [100, 200, 300, 400], "text": "Hi"}, "body": {"bbox": [500, 600, 700, 800]}}',
        boxes(("title", A), ("body", B)),
    ),
    "document in a document": (
        '{"page": {"title": {"bbox": [100, 200, 300, 400]}, "body": {"bbox": [500, 600, 700, 800]}}}',
        boxes(("title", A), ("body", B)),
    ),
    "text of a document": ('[{"bbox_2d": [100, 200, 300, 400], "text_content": "cat"}]', CAT_A),
    "document cut off": ('{"cat": {"bbox": [100, 200, 300, 400]}, "dog": {"bbox": [500', CAT_A),
    "box tags": ("<|box_start|>(100,200),(300,400)<|box_end|>", boxes(("", A))),
    "box tags with a reference": (
        "<|object_ref_start|>cat<|object_ref_end|><|box_start|>(100,200),(300,400)<|box_end|>",
        CAT_A,
    ),
    "ref and box": (
        "A <ref>cat</ref><box>(100,200),(300,400)</box> and a <ref>dog</ref><box>(500,600),(700,800)</box>.",
        CAT_DOG,
    ),
    "ref with two boxes": (
        "<ref>cat</ref><box>(100,200),(300,400)</box><box>(500,600),(700,800)</box>",
        boxes(("cat", A), ("cat", B)),
    ),
    "ref before a word": (
        "A <ref>cat</ref><box>(100,200),(300,400)</box> sits. A dog lies at [500, 600, 700, 800].",
        boxes(("cat", A), ("", B)),
    ),
    "ref before other data": (
        '<ref>cat</ref><box>(100,200),(300,400)</box>\nText:\n[{"bbox_2d": [500, 600, 700, 800], "text": "dog"}]',
        CAT_DOG,
    ),
    "ref before the words of its box": ("The <ref>cat</ref> is at <box>(100,200),(300,400)</box>", CAT_A),
    "box tag with a list": ("<box>[[100, 200, 300, 400]]</box>", boxes(("", A))),
    "box tag cut off": ("<ref>cat</ref><box>(100,200),(300,400)</box><box>(5,6),(7", CAT_A),
    "near-identical boxes": (
        f'[{ITEM_A}, {{"bbox_2d": [101, 200, 299, 402], "label": "cat"}}, {ITEM_A}, {ITEM_B}]',
        CAT_DOG,
    ),
    "same box under two labels": (
        f'[{ITEM_A}, {{"bbox_2d": [100, 200, 300, 400], "label": "pet"}}]',
        boxes(("cat", A), ("pet", A)),
    ),
    "three coordinates": (f'[{{"bbox_2d": [1, 2, 3], "label": "x"}}, {ITEM_B}]', boxes(("dog", B))),
    "five coordinates": (f'[{ITEM_A}, {{"bbox_2d": [1, 2, 3, 4, 5], "label": "x"}}]', CAT_A),
    "no coordinates": (f'[{{"bbox_2d": [], "label": "x"}}, {{"bbox_2d": null}}, {ITEM_B}]', boxes(("dog", B))),
    "a word among the coordinates": (f'[{{"bbox_2d": [1, 2, three, 4], "label": "x"}}, {ITEM_B}]', boxes(("dog", B))),
    "swapped corners": ('[{"bbox_2d": [300, 400, 100, 200], "label": "cat"}]', CAT_A),
    "outside the scale": ('[{"bbox_2d": [-5, 20, 1200, 99999], "label": "cat"}]', boxes(("cat", (0, 20, 1000, 1000)))),
    "fractions": ('[{"bbox_2d": [0.1, 0.25, 0.5, 1], "label": "cat"}]', boxes(("cat", (100, 250, 500, 1000)))),
    "fractions a little off": ('[{"bbox_2d": [-0.01, 0.25, 0.5, 1.02]}]', boxes(("", (0, 250, 500, 1000)))),
    "whole zeros and ones are no fractions": ('[{"bbox_2d": [0, 0, 1, 1]}]', boxes(("", (0, 0, 1, 1)))),
    "box as an object": ('[{"bbox_2d": {"x1": 100, "y1": 200, "x2": 300, "y2": 400}, "label": "cat"}]', CAT_A),
    "corners in the item": ('[{"label": "cat", "xmin": 100, "ymin": 200, "xmax": 300, "ymax": 400}]', CAT_A),
    "corner and size": ('[{"label": "cat", "x": 100, "y": 200, "width": 200, "height": 200}]', CAT_A),
    "two lists": (f"[{ITEM_A}]\n\n[{ITEM_B}]", CAT_DOG),
    "two lists without a gap": (f"[{ITEM_A}][{ITEM_B}]", CAT_DOG),
    "stray bracket at the end": (f"{LIST}]", CAT_DOG),
    "stray bracket after an item": (f"[{ITEM_A}], {ITEM_B}]", CAT_DOG),
    "stray bracket in an item": ('[{"bbox_2d": [100, 200, 300, 400]], "label": "cat"}, ' + ITEM_B + "]", CAT_DOG),
    "missing bracket in an item": ('[{"bbox_2d": [100, 200, 300, 400, "label": "cat"}, ' + ITEM_B + "]", CAT_DOG),
    "missing brace": (f"[{ITEM_A[:-1]}]", CAT_A),
    "missing comma": ('[{"bbox_2d": [100, 200, 300, 400] "label": "cat"} ' + ITEM_B + "]", CAT_DOG),
    "trailing commas": ('[{"bbox_2d": [100, 200, 300, 400,], "label": "cat",},]', CAT_A),
    "numbers as strings": ('[{"bbox_2d": ["100", "200", "300", "400"], "label": "cat"}]', CAT_A),
    "box as a string": ('[{"bbox_2d": "[100, 200, 300, 400]", "label": "cat"}]', CAT_A),
    "endless digits": (f'[{ITEM_A}, {{"bbox_2d": [1{"0" * 9000}', CAT_A),
    "very long number": (f'[{{"bbox_2d": [100, 200, 300, 4{"0" * 9000}]}}]', boxes(("", (100, 200, 300, 1000)))),
    "unquoted keys": ("[{bbox_2d: [100, 200, 300, 400], label: cat}]", CAT_A),
    "typographic quotes": (
        "[{“bbox_2d”: [100, 200, 300, 400], “label”: “a cat, asleep”}]",
        boxes(("a cat, asleep", A)),
    ),
    "typographic quotes of German": ("[{„bbox_2d“: [100, 200, 300, 400], „label“: „cat“}]", CAT_A),
    "typographic quotes inside a label": (
        '[{"bbox_2d": [100, 200, 300, 400], "label": "the “red” car"}]',
        boxes(("the “red” car", A)),
    ),
    "quotes inside a label": (
        '[{"bbox_2d": [100, 200, 300, 400], "label": "the "red" car"}]',
        boxes(('the "red" car', A)),
    ),
    "apostrophe inside a label": (
        "[{'bbox_2d': [100, 200, 300, 400], 'label': 'man's hat'}]",
        boxes(("man's hat", A)),
    ),
    "escapes inside a label": (
        '[{"bbox_2d": [100, 200, 300, 400], "label": "\\u732b \\"\\ud83d\\ude3a\\"\\n"}]',
        boxes(('猫 "😺"', A)),
    ),
    "control and direction characters": (
        '[{"bbox_2d": [100, 200, 300, 400], "label": "c\u202ea\u0000\u2066t\\u202e"}]',
        CAT_A,
    ),
    "markup stays text": (
        '[{"bbox_2d": [100, 200, 300, 400], "label": "<img onerror=x>"}]',
        boxes(("<img onerror=x>", A)),
    ),
    "invisible label": ('[{"bbox_2d": [100, 200, 300, 400], "label": "\u200b\u2060", "text": "cat"}]', CAT_A),
    "nothing but an invisible label": ('[{"bbox_2d": [100, 200, 300, 400], "label": "\u200b"}]', boxes(("", A))),
    "joined emoji": ('[{"bbox_2d": [100, 200, 300, 400], "label": "👩\u200d🌾"}]', boxes(("👩\u200d🌾", A))),
    "long label": (f'[{{"bbox_2d": [100, 200, 300, 400], "label": "{"x" * 999}"}}]', boxes(("x" * 200, A))),
    "other numbers beside a box": ('[{"bbox_2d": [100, 200, 300, 400], "label": "cat", "rgba": [1, 2, 3, 4]}]', CAT_A),
    "label cut by a line break": (
        '[{"bbox_2d": [100, 200, 300, 400], "label": "cat\nbird"}, ' + ITEM_B + ", {",
        CAT_DOG,
    ),
    "object under a key of labels": ('{"object": {"bbox_2d": [100, 200, 300, 400], "label": "cat"}}', CAT_A),
    "list after an unclosed tag": (f"A <box> here: {LIST}", CAT_DOG),
    "list after an unclosed brace": (f"f(x) = {{x and {LIST}", CAT_DOG),
    "labels beside boxes": (
        '{"bboxes": [[100, 200, 300, 400], [500, 600, 700, 800]], "labels": ["cat", "dog"]}',
        CAT_DOG,
    ),
    "numbers in what a box has": (
        f'[{ITEM_A[:-1]}, "attributes": {{"rgb": [1, 2, 30, 40], "parts": {{"at": [1, 2, 30, 40]}}}}}}]',
        CAT_A,
    ),
    "box in what a box has": (f'[{ITEM_A[:-1]}, "parts": {{"first": {ITEM_B}}}}}]', CAT_DOG),
    "polygon as a box": ('[{"bbox_2d": [[100, 250], [300, 200], [250, 400]], "label": "cat"}]', CAT_A),
    "pairs of corners": (
        '[{"bbox_2d": [[[100, 200], [300, 400]], [[500, 600], [700, 800]]], "label": ["cat", "dog"]}]',
        CAT_DOG,
    ),
    "flat polygon": ('[{"polygon": [100, 250, 300, 200, 250, 400, 110, 390], "label": "cat"}]', CAT_A),
    "polygon of points": ('[{"polygon": [[100, 250], [300, 200], [250, 400]], "label": "cat"}]', CAT_A),
    "polygon of parts": (
        '[{"segmentation": [[100, 200, 150, 250, 120, 300], [300, 400, 290, 350]], "label": "cat"}]',
        CAT_A,
    ),
    "polygon beside a box": (f'[{ITEM_A[:-1]}, "polygon": [5, 6, 7, 8, 9, 10]}}]', CAT_A),
    "named numbers in a text": ('[{"bbox_2d": "x1=100, y1=200, x2=300, y2=400", "label": "cat"}]', CAT_A),
    "key coordinates": ('[{"label": "cat", "coordinates": [100, 200, 300, 400]}]', CAT_A),
    "full-width commas": ('[{"bbox_2d": [100，200，300，400]，"label"："cat"}，' + ITEM_B + "]", CAT_DOG),
    "full-width commas in prose": ("猫在[100，200，300，400]。", boxes(("", A))),
    "full-width marks in a label": (
        '[{"bbox_2d": [100, 200, 300, 400], "label": "猫，狗：两只"}]',
        boxes(("猫，狗：两只", A)),
    ),
    "outside the picture": (f'[{{"bbox_2d": [1200, 340, 1800, 1020], "label": "car"}}, {ITEM_A}]', CAT_A),
    "python": (f"```python\n[{ITEM_A}]\n```", CAT_A),
    "between prices": ("The $5 cat is at [100, 200, 300, 400], the $10 dog is not there.", boxes(("", A))),
    "box in prose": ("The cat is at [100, 200, 300, 400].", boxes(("", A))),
}

POINTS = {
    "point": ('[{"point_2d": [10, 20], "label": "cat"}]', points(("cat", (10, 20)))),
    "key point": ('{"point": [10, 20]}', points(("", (10, 20)))),
    "points": ('{"points": [[10, 20], [30, 40]], "label": "cat"}', points(("cat", (10, 20)), ("cat", (30, 40)))),
    "point as an object": ('{"point_2d": {"x": 10, "y": 20}, "label": "cat"}', points(("cat", (10, 20)))),
    "point in the item": ('[{"label": "cat", "x": 10, "y": 20}]', points(("cat", (10, 20)))),
    "fractions of a point": ('{"point_2d": [0.5, 0.25]}', points(("", (500, 250)))),
    "flat points": ("[10, 20, 30, 40, 50, 60]", points(("", (10, 20)), ("", (30, 40)), ("", (50, 60)))),
    "bare points": ("[[10, 20], [30, 40]]", points(("", (10, 20)), ("", (30, 40)))),
    "point outside the picture": (
        '{"points": [[10, 20], [1300, 40], [1003, 7]]}',
        points(("", (10, 20)), ("", (1000, 7))),
    ),
    "point tag": ("<|point_start|>(10,20)<|point_end|>", points(("", (10, 20)))),
}

TRACKS = {
    "seconds": ('[{"time": 1.0, "bbox_2d": [100, 200, 300, 400], "label": ""}]', tracks((1, "", A))),
    "minutes": ('[{"time": "01:02.50", "bbox_2d": [100, 200, 300, 400], "label": "cat"}]', tracks((62.5, "cat", A))),
    "same box later": (
        '[{"time": 1, "bbox_2d": [100, 200, 300, 400]}, {"time": 2, "bbox_2d": [100, 200, 300, 400]}]',
        tracks((1, "", A), (2, "", A)),
    ),
    "unquoted minutes": ('[{"time": 00:01.5, "bbox_2d": [100, 200, 300, 400]}]', tracks((1.5, "", A))),
    "time over its objects": (
        f'[{{"time": "<2.5 seconds>", "objects": {LIST}}}]',
        tracks((2.5, "cat", A), (2.5, "dog", B)),
    ),
    "label over its track": (
        '{"label": "cat", "track": [{"time": 1.0, "bbox_2d": [100, 200, 300, 400]}]}',
        tracks((1, "cat", A)),
    ),
    "time as a key": (f'{{"0:02": [{ITEM_A}]}}', tracks((2, "cat", A))),
}

EVENTS = {
    "start, end and description": ('[{"start": 1.0, "end": 2.5, "description": "turns"}]', events((1, 2.5, "turns"))),
    "start_time and label": (
        '[{"start_time": "0:01", "end_time": "0:02.5", "label": "turns"}]',
        events((1, 2.5, "turns")),
    ),
    "start_time and event": ('[{"start_time": 1, "end_time": 2, "event": "turns"}]', events((1, 2, "turns"))),
    "keys of other names": (
        '[{"startTime": 1, "endTime": 2, "event": "a"}, {"start_sec": 3, "end_sec": 4, "event": "b"},'
        ' {"start_timestamp": "0:05", "end_timestamp": "0:06", "event": "c"},'
        ' {"time_span": "0:07-0:08", "event": "d"}]',
        events((1, 2, "a"), (3, 4, "b"), (5, 6, "c"), (7, 8, "d")),
    ),
    "one object as an event": ('{"start": 1, "end": 2, "description": "turns"}', events((1, 2, "turns"))),
    "unit s": ('[{"start": "3.2s", "end": "4 s", "description": "turns"}]', events((3.2, 4, "turns"))),
    "seconds in brackets": ('[{"start": "<28.2 seconds>", "end": "<30.0 seconds>"}]', events((28.2, 30, ""))),
    "seconds in brackets, unquoted": ('[{"start": <28.2 seconds>, "end": <30.0 seconds>}]', events((28.2, 30, ""))),
    "hours": ('[{"start": "01:00:02", "end": "01:00:03.5", "label": "x"}]', events((3602, 3603.5, "x"))),
    "past any clip's end": ('[{"start": 0, "end": 99999, "label": "x"}]', events((0, 99999, "x"))),
    "swapped ends": ('[{"start": 5, "end": 2, "label": "x"}]', events((2, 5, "x"))),
    "range as a key": ('{"00:23.00 - 00:48.00": "turns"}', events((23, 48, "turns"))),
    "ranges as keys": ('{"0:01-0:02": "a", "0:03 – 0:04": "b"}', events((1, 2, "a"), (3, 4, "b"))),
    "range as a key, cut off": ('{"0:01 - 0:02": "a", "0:03 - 0:04": "b', events((1, 2, "a"))),
    "range as a key over an object": ('{"0:01 - 0:02": {"description": "a"}}', events((1, 2, "a"))),
    "label as the key of a span": ('{"a": {"start": 1, "end": 2}}', events((1, 2, "a"))),
    "range as a value": ('[{"time": "0:01 - 0:02", "event": "a"}]', events((1, 2, "a"))),
    "range in seconds": ('[{"timestamp": "1.5s to 3s", "event": "a"}]', events((1.5, 3, "a"))),
    "range as a list": ('[{"timestamp": [1.5, 3], "event": "a"}]', events((1.5, 3, "a"))),
    "range as a list in a text": ('[{"timestamp": "[5, 8]", "event": "a"}]', events((5, 8, "a"))),
    "range as a tuple in a text": ('[{"span": "(0:05.0, 0:08)", "event": "a"}]', events((5, 8, "a"))),
    "span with a comma": (
        '[{"span": "5,8", "event": "a"}, {"span": "0:01,500", "event": "b"}]',
        events((5, 8, "a"), (1.5, 1.5, "b")),
    ),
    "number with a comma": ('[{"time": "1,200", "event": "a"}]', events()),
    "moment with an invisible label": ('[{"time": "0:05", "label": "\u200b"}]', events()),
    "range in a text of a list": ('["0:01 - 0:02: a", "0:03 - 0:04: b"]', events((1, 2, "a"), (3, 4, "b"))),
    "a moment": ('[{"time": "0:07", "event": "a"}]', events((7, 7, "a"))),
    "events under a key": ('{"events": [{"start": 1, "end": 2, "label": "a"}]}', events((1, 2, "a"))),
    "repeated": ('[{"start": 1, "end": 2, "label": "a"}, {"start": 1, "end": 2, "label": "a"}]', events((1, 2, "a"))),
    "cut off": ('[{"start": 1, "end": 2, "label": "a"}, {"start": 3, "end": 4, "la', events((1, 2, "a"))),
    "lines": ("- <3.2 seconds> - <5.0 seconds>: a\n2. 0:06 - 0:08 b", events((3.2, 5, "a"), (6, 8, "b"))),
    "range in brackets": ("[00:01 - 00:05] a\n[00:06.5 - 00:08] b", events((1, 5, "a"), (6.5, 8, "b"))),
    "range in brackets behind a bullet": ("- **[00:01 - 00:05]**: a", events((1, 5, "a"))),
    "range in a sentence": ("The cat is visible from 0.4 to 1.8 seconds.", events((0.4, 1.8, "The cat is visible"))),
    "range between": ("Between 2 and 3.5 s the cat jumps.", events((2, 3.5, "the cat jumps"))),
    "range behind what it says": ("The cat jumps (0:03 – 0:05).", events((3, 5, "The cat jumps"))),
    "two ranges in a sentence": (
        "It runs from 0:01 to 0:02, then jumps from 0:03 to 0:04.",
        events((1, 2, "It runs"), (3, 4, "then jumps")),
    ),
    "a range a sentence": ("It runs 1 s to 2 s. It jumps 3 s to 4 s.", events((1, 2, "It runs"), (3, 4, "It jumps"))),
    "range until": ("From 1s until 2s it runs.", events((1, 2, "it runs"))),
    "range in hours": ("01:00:02 --> 01:00:03.5 it runs", events((3602, 3603.5, "it runs"))),
    "only a range": ("0:01 - 0:05", events((1, 5, ""))),
    "two moments are no range": ("It blinks at 2 s and 3 s.", events()),
    "endless time": (f'[{{"start": {"9" * 9000}, "end": 2, "label": "a"}}]', events()),
    "subtitles": ("1\n00:00:01,500 --> 00:00:04,250\nA man walks", events((1.5, 4.25, ""))),
    "decimal commas": ('[{"start": "00:00:01,500", "end": "00:00:04,000", "label": "a"}]', events((1.5, 4, "a"))),
    "a count behind a moment": ("0:05 - 3 people enter\n- 00:09 — 1 woman leaves", events()),
    "a number in front of a range": ("Scene 2 - 0:05 to 0:10", events((5, 10, "Scene 2"))),
    "minutes in words": ("From 1 minute 5 seconds to 1m20s he talks.", events((65, 80, "he talks"))),
    "seconds to minutes": ("It took 5 seconds to 1 minute.", events()),
    "German": ("Von 3 bis 5 Sekunden kommt der Mann.", events((3, 5, "kommt der Mann"))),
    "Spanish, between": ("Entre 2 y 4 segundos, la pelota rueda.", events((2, 4, "la pelota rueda"))),
    "French, since": ("Depuis 2 s à 4 s, la balle roule.", events((2, 4, "la balle roule"))),
    "German, between": ("Zwischen 3 und 5 Sekunden kommt er.", events((3, 5, "kommt er"))),
    "French": ("De 3 à 5 secondes, l'homme entre.", events((3, 5, "l'homme entre"))),
    "Spanish": ("De 0:03 a 0:05 entra el hombre.", events((3, 5, "entra el hombre"))),
    "Chinese": ("从3秒到5秒，男子走进来。第6秒至第8.5秒，他坐下。", events((3, 5, "男子走进来"), (6, 8.5, "他坐下"))),
    "Chinese, a clock": ("00:03～00:05：男子走进来。", events((3, 5, "男子走进来"))),
    "Japanese": ("3秒から5秒まで、男性が来ます。", events((3, 5, "男性が来ます"))),
    "Chinese, minutes": ("1分5秒到1分20秒：说话", events((65, 80, "说话"))),
    "a table": (
        "| Time | Event |\n|---|---|\n| 0:00 - 0:05 | It runs |\n| Jump | 0:05 - 0:12 |",
        events((0, 5, "It runs"), (5, 12, "Jump")),
    ),
    "about": ("- **It runs** at approximately 0:05 to 0:08", events((5, 8, "It runs"))),
    "a sentence as a value": ('[{"time": "from 3 to 5 seconds", "event": "a"}]', events((3, 5, "a"))),
    "a word behind a moment": ("At 0:05 a 3 metre long board falls.", events()),
    "moments a line each": ("Bounces at:\n- 0:05\n- 0:09\n- 0:12", events()),
}

NOTHING = {
    "nothing": "",
    "a count": "There are 3 red shapes.",
    "a moment in prose": "At 0:07 it turns.",
    "a year and a citation": "In 2019 (see [1, 2])",
    "a list of years": "The years were [2019, 2020, 2021, 2022].",
    "a long list in prose": "The sequence is [1, 2, 3, 4, 5, 6, 7, 8].",
    "a link": "See [the page](https://example.org/a?b=1,2,3,4).",
    "a range of numbers": "2 - 3 small boxes",
    "a range of years": "2019 - 2020: growth",
    "a range of decades": "From the 1980s to 1990s, '70s - '80s",
    "scores": "They won 3:2 - 2:1, and lost 0:3 to 1:3.",
    "ratios": "Mix 2:1 to 3:1; it is 16:9 - 21:9.",
    "verses": "Genesis 1:1-2:3",
    "a length of time": "It waits for 3 to 5 seconds, and the pause lasts about 2-3 s.",
    "a length told behind": "It is 3 to 5 seconds long, and 2-3 s later it turns. Es rollt 3 bis 5 Sekunden lang.",
    "a length in Chinese": "动作持续3到5秒。",
    "hours of a day": "Open 9:00 am - 5:30 pm.",
    "a box without an area": "It is [5, 5, 5, 5].",
    "an empty list": "```json\n[]\n```",
    "a tag in prose": "Use <box> and </box>.",
    "brackets the wrong way": "]}])}",
    "a set of words": '{"colour": "red", "count": 3}',
    "an unclosed bracket of prose": "[as said in [1, 2], see there",
    "a tag cut off": "<box>(10, 20),(30",
    "eight numbers under a word": '{"series": [1, 2, 3, 4, 5, 6, 7, 8]}',
    "colours": '{"rgba": [255, 0, 0, 128]}',
    "a chart": '{"labels": ["a", "b", "c", "d"], "values": [10, 25, 40, 60]}',
    "a table": '```json\n{"rows": [[10, 20, 30, 40], [50, 60, 70, 80]]}\n```',
    "scores of a table": '[{"name": "Ann", "scores": [70, 80, 90, 95]}]',
    "the points of a chart": '{"series": [{"x": 10, "y": 100}, {"x": 20, "y": 200}]}',
    "small numbers": "The dice show [1, 3, 5, 6], by quarter [12, 15, 18, 22].",
    "a sorted array": "The sorted array is [10, 20, 30, 40], see pages [12, 45, 67, 89].",
    "a colour": "The average colour is **[34, 120, 200, 255]**.",
    "a program": "So:\n```python\nx = [10, 20, 300, 400]\nbox = {'box': [10, 20, 300, 400]}\n```\nprints it.",
    "styles": "```css\n.box { margin: [10, 20, 300, 400]; }",
    "a drawing program": "```js\nconst p = {x: 10, y: 20, width: 30, height: 40};\n```",
    "slices": "```py\nx[0:05 - 0:10]\n# 0:05 - 0:10\n```",
    "a formula": "$$A = [10, 20, 300, 400]$$ and $x = [10, 20, 300, 400]$.",
    "code": "for (int i = 0; i < 4; i++) { a[i] = {1, 2, 3}; }",
    "flat numbers cut off": "[100, 200, 300, 400, 50",
}

CASES = {
    **{f"box: {name}": case for name, case in BOXES.items()},
    **{f"point: {name}": case for name, case in POINTS.items()},
    **{f"track: {name}": case for name, case in TRACKS.items()},
    **{f"event: {name}": case for name, case in EVENTS.items()},
    **{f"nothing: {name}": (answer, Grounding()) for name, answer in NOTHING.items()},
}
