package audit

import (
	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// snapshotter is a [Decider] that tells by what it decides. Of any other it is
// not known whether Pods' names matter, so that each Pod is a question of its
// own.
type snapshotter interface {
	// Snapshot returns nil if nothing is loaded.
	Snapshot() *engine.Snapshot
}

// names tells Pods apart by their names where a decision may do so. Only
// exceptions for workloads do; replicas have names of their own, and would
// otherwise cost a decision each.
type names struct {
	all        bool // all names matter
	exceptions []policy.Exception
}

// rules are what a sweep needs to know of those that it decides by.
type rules struct {
	names  names
	listed map[imageref.Digest]bool // by deny lists
	// secrets are those that policies bring, by the policy.
	secrets map[policy.Origin][]evidence.SecretName
}

func rulesOf(d Decider) rules {
	s, tells := d.(snapshotter)
	if !tells {
		return rules{names: names{all: true}}
	}
	snapshot := s.Snapshot()
	if snapshot == nil {
		return rules{}
	}
	r := rules{listed: map[imageref.Digest]bool{}, secrets: map[policy.Origin][]evidence.SecretName{}}
	for _, e := range snapshot.Exceptions() {
		if len(e.Workloads) > 0 {
			r.names.exceptions = append(r.names.exceptions, e)
		}
	}
	for _, list := range snapshot.Denials() {
		for _, digest := range list.Images.Digests {
			r.listed[digest] = true
		}
	}
	for _, p := range snapshot.Policies() {
		if len(p.PullSecrets) > 0 {
			r.secrets[p.Origin] = append(r.secrets[p.Origin], p.PullSecrets...)
		}
	}
	return r
}

// told returns what a decision may know by the name of the request's object.
func (n names) told(r policy.Request) string {
	if n.all {
		return r.Name
	}
	held := make([]byte, len(n.exceptions))
	for i := range n.exceptions {
		held[i] = '0'
		if n.exceptions[i].HoldsFor(r) {
			held[i] = '1'
		}
	}
	return string(held)
}
