"""Celery's beat, in one place: `leader-async run --election beat -- celery -A celery_beat beat`, in this folder.

The broker is this process's memory, for trying; give it yours.
"""

import celery

app = celery.Celery("celery_beat", broker="memory://")
app.conf.beat_schedule = {"tick": {"task": "celery_beat.tick", "schedule": 1.0}}
