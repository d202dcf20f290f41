package server_test

import (
	"testing"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// An excused outage cannot pin a tag (TRUST R39): the refusal names the outage,
// and not only the missing digest.
func TestR39TagDuringAnOutageNamesTheOutage(t *testing.T) {
	s := newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d.Outcome, d.Pins = policy.Allowed, true
		d.Policies = []engine.PolicyDecision{{
			Origin: policy.Origin{Name: "release"}, OnUndecided: policy.AllowUndecidedUnsafe,
			Outcome: policy.Undecided, Effective: policy.Allowed,
			Finding: policy.Finding{Problems: []*evidence.Problem{{Reason: evidence.RegistryTimeout, Expected: "an answer", Got: "none in time"}}},
		}}
		return d
	}))
	response := ask(t, s, validateDoor, recorded(t, "pod-create"))
	wantDenied(t, response, "expected an image named by digest, got a tag: expected an answer, got none in time")
}
