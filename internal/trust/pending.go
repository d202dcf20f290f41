package trust

import (
	"context"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// Pending returns the signer that stands in for one whose trust material is not
// known yet. It is undecided about everything, for the reason given, whatever
// evidence there is or is not.
//
// id is that of what the signer would be made of; describe says who must have
// signed.
func Pending(id, describe string, why *evidence.Problem) policy.Attestor {
	return pending{id: policy.SignerID("pending " + string(why.Reason) + " " + id), describe: describe, why: why}
}

type pending struct {
	id       policy.SignerID
	describe string
	why      *evidence.Problem
}

var (
	_ policy.Attestor    = pending{}
	_ policy.Unavailable = pending{}
)

func (p pending) ID() policy.SignerID { return p.id }

func (p pending) Describe() string { return p.describe }

// Need asks for nothing: no evidence could be judged.
func (pending) Need() evidence.Need { return evidence.Need{} }

func (pending) PerRepository() bool { return false }

func (p pending) Verify(context.Context, evidence.Image, evidence.Item) (policy.Proof, error) {
	return policy.Proof{}, p.why
}

func (pending) StatementNeed() evidence.Need { return evidence.Need{} }

func (p pending) VerifyStatement(context.Context, evidence.Image, evidence.Item, string) (policy.Proof, error) {
	return policy.Proof{}, p.why
}

// Unavailable implements [policy.Unavailable].
func (p pending) Unavailable() *evidence.Problem { return p.why }
