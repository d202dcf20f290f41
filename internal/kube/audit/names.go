package audit

import (
	"github.com/bonafide-dev/bonafide/engine"
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

func namesThatMatter(d Decider) names {
	s, tells := d.(snapshotter)
	if !tells {
		return names{all: true}
	}
	snapshot := s.Snapshot()
	if snapshot == nil {
		return names{}
	}
	var n names
	for _, e := range snapshot.Exceptions() {
		if len(e.Workloads) > 0 {
			n.exceptions = append(n.exceptions, e)
		}
	}
	return n
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
