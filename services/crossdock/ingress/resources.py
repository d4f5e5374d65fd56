"""The resources of the API, in the order in which a path looks for its route."""

from crossdock.ingress.http.installation import InstallationRoutes
from crossdock.ingress.management.budgets import BudgetRoutes
from crossdock.ingress.management.byok import CredentialRoutes
from crossdock.ingress.management.credits import CreditRoutes
from crossdock.ingress.management.keys import KeyRoutes
from crossdock.ingress.management.organizations import OrganizationRoutes
from crossdock.ingress.management.policies import PolicyRoutes
from crossdock.ingress.management.presets import PresetRoutes
from crossdock.ingress.management.stripe_webhook import CallbackRoutes
from crossdock.ingress.openai.batches import BatchRoutes
from crossdock.ingress.openai.completions import RequestRoutes
from crossdock.ingress.openai.files import FileRoutes
from crossdock.ingress.openai.models import ModelRoutes
from crossdock.ingress.openai.uploads import UploadRoutes
from crossdock.ingress.values.operations import Operation, operations_of

RESOURCES = (
    RequestRoutes,
    BatchRoutes,
    FileRoutes,
    UploadRoutes,
    ModelRoutes,
    KeyRoutes,
    OrganizationRoutes,
    PolicyRoutes,
    BudgetRoutes,
    PresetRoutes,
    CredentialRoutes,
    CreditRoutes,
    CallbackRoutes,
    InstallationRoutes,
)
OPERATIONS: tuple[Operation, ...] = tuple(
    operation for resource in RESOURCES for _, operation in operations_of(resource)
)
