"""Who reaches whom, by Kubernetes' rules for network policies."""

from __future__ import annotations

import dataclasses
from ipaddress import ip_address, ip_network
from typing import Any

__all__ = ["Peer", "allowed"]


@dataclasses.dataclass(frozen=True)
class Peer:
    """A pod, or an address outside of the cluster (which has no labels)."""

    labels: dict[str, str] = dataclasses.field(default_factory=dict)
    namespace: str = "bandstand"
    namespace_labels: dict[str, str] = dataclasses.field(default_factory=dict)
    address: str = "10.1.2.3"
    is_pod: bool = True


def allowed(policies: list[dict[str, Any]], source: Peer, target: Peer, port: int, protocol: str = "TCP") -> bool:
    """Whether a connection may leave the source and may enter the target."""
    return _may(policies, source, target, "Egress", port, protocol) and _may(
        policies, target, source, "Ingress", port, protocol
    )


def _may(policies, pod: Peer, other: Peer, direction: str, port: int, protocol: str) -> bool:
    if not pod.is_pod:
        return True
    mine = [
        one
        for one in policies
        if one["metadata"]["namespace"] == pod.namespace
        and direction in one["spec"]["policyTypes"]
        and _selects(one["spec"]["podSelector"], pod.labels)
    ]
    if not mine:
        return True
    key, peers = ("egress", "to") if direction == "Egress" else ("ingress", "from")
    return any(
        _port_fits(rule, port, protocol)
        and (peers not in rule or any(_is_peer(one, other, pod) for one in rule[peers]))
        for policy in mine
        for rule in policy["spec"].get(key, [])
    )


def _port_fits(rule, port: int, protocol: str) -> bool:
    return "ports" not in rule or any(
        one["port"] == port and one.get("protocol", "TCP") == protocol for one in rule["ports"]
    )


def _is_peer(peer, other: Peer, pod: Peer) -> bool:
    if "ipBlock" in peer:
        return ip_address(other.address) in ip_network(peer["ipBlock"]["cidr"])
    if not other.is_pod:
        return False
    if "namespaceSelector" in peer:
        if not _selects(peer["namespaceSelector"], other.namespace_labels):
            return False
    elif other.namespace != pod.namespace:
        return False
    return _selects(peer.get("podSelector", {}), other.labels)


def _selects(selector, labels: dict[str, str]) -> bool:
    assert set(selector) <= {"matchLabels", "matchExpressions"}
    for one in selector.get("matchExpressions", []):
        assert one["operator"] == "In"
        if labels.get(one["key"]) not in one["values"]:
            return False
    return selector.get("matchLabels", {}).items() <= labels.items()
