"""The commands: `uv run invoke --list`. Each is a file of its own in cloudkite/commands/, and collected here."""

from invoke.collection import Collection

from cloudkite.commands import account, budget, ci, classes, data, local, template
from cloudkite.commands.audit import audit
from cloudkite.commands.bench import bench
from cloudkite.commands.cancel import cancel
from cloudkite.commands.check import check
from cloudkite.commands.costs import costs
from cloudkite.commands.demo import demo
from cloudkite.commands.doctor import doctor
from cloudkite.commands.down import down
from cloudkite.commands.export import export
from cloudkite.commands.fetch import fetch
from cloudkite.commands.jobs import jobs
from cloudkite.commands.lint import lint
from cloudkite.commands.logs import logs
from cloudkite.commands.new import new
from cloudkite.commands.parity import parity
from cloudkite.commands.pin import pin
from cloudkite.commands.predict import predict
from cloudkite.commands.prices import prices
from cloudkite.commands.quota import quota
from cloudkite.commands.report import report
from cloudkite.commands.start import start
from cloudkite.commands.tensorboard import tensorboard
from cloudkite.commands.test import test
from cloudkite.commands.train import train
from cloudkite.commands.tune import tune
from cloudkite.commands.up import up
from cloudkite.commands.wait import wait

ns = Collection(
    demo, start, new, report, check, train, tune, jobs, logs, wait, cancel, fetch, predict, export, tensorboard, up,
    down, test, lint, bench, quota, prices, costs, doctor, pin, audit, parity,
    account.collection, budget.collection, ci.collection, classes.collection, data.collection, local.collection,
    template.collection,
)  # fmt: skip
