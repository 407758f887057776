from django.urls import path

from jobs.views import (
    activity,
    causes,
    corrections,
    dials,
    downloads,
    hints,
    items,
    jobs,
    lists,
    map,
    new,
    preview,
    setup,
    sharing,
    trial,
    uploads,
)

app_name = "jobs"
urlpatterns = [
    path("", lists.index, name="list"),
    path("jobs/new/", new.new, name="new"),
    path("jobs/preview/", preview.preview, name="preview"),
    path("jobs/processor/", preview.processor_fields, name="processor_fields"),
    path("jobs/uploads/", uploads.uploads, name="uploads"),
    path("jobs/uploads/<int:key>/", uploads.upload, name="upload"),
    path("jobs/hints/", hints.hint, name="hints"),
    path("jobs/sample/", new.sample, name="sample"),
    path("jobs/list.json", lists.list_snapshot, name="list_snapshot"),
    path("jobs/<str:code>/", jobs.detail, name="detail"),
    path("jobs/<str:code>/change/", new.change, name="change"),
    path("jobs/<str:code>/snapshot.json", jobs.snapshot, name="snapshot"),
    path("jobs/<str:code>/cells.bin", map.cells, name="cells"),
    path("jobs/<str:code>/series.json", jobs.job_series, name="series"),
    path("jobs/<str:code>/setup/", setup.setup, name="setup"),
    path("jobs/<str:code>/try/", trial.try_rows, name="try"),
    path("jobs/<str:code>/adjust/", dials.adjust, name="adjust"),
    path("jobs/<str:code>/rename/", sharing.rename, name="rename"),
    path("jobs/<str:code>/share/", sharing.share, name="share"),
    path("jobs/<str:code>/share/<int:key>/remove/", sharing.unshare, name="unshare"),
    path("jobs/<str:code>/give/", sharing.give, name="give"),
    path("jobs/<str:code>/activity/", activity.activity, name="activity"),
    path("jobs/<str:code>/corrections/<int:number>/", activity.correction_file, name="correction_file"),
    path("jobs/<str:code>/causes/", causes.causes, name="causes"),
    path("jobs/<str:code>/items/", items.items, name="items"),
    path("jobs/<str:code>/items/<int:row>/", items.item, name="item"),
    path("jobs/<str:code>/results.<str:format>", downloads.result, name="results"),
    path("jobs/<str:code>/failed.csv", downloads.failed, name="failed"),
    path("jobs/<str:code>/corrections/", corrections.corrections, name="corrections"),
    path("jobs/<str:code>/correct/", corrections.correct, name="correct"),
    path("jobs/<str:code>/problems.csv", downloads.problems, name="problems"),
    *[
        path(f"jobs/<str:code>/{verb}/", jobs.act, {"verb": verb}, name=verb)
        for verb in ("start", "pause", "resume", "cancel", "retry", "delete")
    ],
]
