"""The tables of the agents floor."""

from agents.models.agents import Agent, AgentRole, AgentVersion, ModelProfile
from agents.models.calls import ModelCall
from agents.models.delegations import Delegation
from agents.models.holds import Hold, HoldScope
from agents.models.proposals import Claim, FileChange, Hunk, Proposal
from agents.models.providers import ProviderBreaker
from agents.models.steps import Attempt, Step, StepDependency, ToolCall
from agents.models.tasks import Arrival, Escalation, Event, Task
from agents.models.tools import Grant, Tool, ToolServer

__all__ = [
    "Agent",
    "AgentRole",
    "AgentVersion",
    "Arrival",
    "Attempt",
    "Claim",
    "Delegation",
    "Escalation",
    "Event",
    "FileChange",
    "Grant",
    "Hold",
    "HoldScope",
    "Hunk",
    "ModelCall",
    "ModelProfile",
    "Proposal",
    "ProviderBreaker",
    "Step",
    "StepDependency",
    "Task",
    "Tool",
    "ToolCall",
    "ToolServer",
]
