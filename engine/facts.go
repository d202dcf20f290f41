package engine

import (
	"fmt"
	"slices"
	"time"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/policy"
)

// tasks are the questions that the policies ask about an image, each once.
type tasks struct {
	signers    []policy.Signer // who may have signed the image
	statements []statementTask
	attestors  map[statementTask]policy.Attestor
	artifacts  []artifactTask // by type
	lists      bool           // something is decided over all that there is
}

// statementTask asks for statements of one type by one signer.
type statementTask struct {
	signer        policy.SignerID
	predicateType string
}

// artifactTask asks for artifacts of one type.
type artifactTask struct {
	artifactType string
	signers      []policy.Signer     // who may have signed them
	claims       [][]policy.SignerID // of each claim, any of whom suffices
	content      bool                // a condition looks at what they say
}

func tasksOf(policies []selected) tasks {
	t := tasks{attestors: map[statementTask]policy.Attestor{}}
	for _, p := range policies {
		if p.Invalid != nil {
			continue
		}
		leaves := policy.LeavesOf(p.require)
		for _, s := range leaves.Signatures {
			t.signers = withSigner(t.signers, s.Signer)
		}
		for _, a := range leaves.Attestations {
			t.attestation(a)
		}
		for _, a := range leaves.Artifacts {
			t.artifact(a)
		}
	}
	return t
}

func withSigner(all []policy.Signer, s policy.Signer) []policy.Signer {
	if slices.ContainsFunc(all, func(o policy.Signer) bool { return o.ID() == s.ID() }) {
		return all
	}
	return append(all, s)
}

func (t *tasks) attestation(a policy.Attestation) {
	t.lists = t.lists || a.Quantifier != policy.Any
	for _, s := range a.Signers {
		attestor, is := s.Signer.(policy.Attestor)
		task := statementTask{s.Signer.ID(), a.Type}
		if _, known := t.attestors[task]; known || !is { // one that attests nothing has proven nothing
			continue
		}
		t.attestors[task] = attestor
		t.statements = append(t.statements, task)
	}
}

func (t *tasks) artifact(a policy.Artifact) {
	t.lists = t.lists || a.Quantifier != policy.Any
	i := slices.IndexFunc(t.artifacts, func(o artifactTask) bool { return o.artifactType == a.Type })
	if i < 0 {
		i = len(t.artifacts)
		t.artifacts = append(t.artifacts, artifactTask{artifactType: a.Type})
	}
	var claim []policy.SignerID
	for _, s := range a.Signers {
		t.artifacts[i].signers = withSigner(t.artifacts[i].signers, s.Signer)
		claim = append(claim, s.Signer.ID())
	}
	t.artifacts[i].claims = append(t.artifacts[i].claims, claim)
	t.artifacts[i].content = t.artifacts[i].content || len(a.Conditions) > 0
}

// claims reports whether anything beside signatures is asked for.
func (t *tasks) claims() bool { return len(t.statements) > 0 || len(t.artifacts) > 0 }

func (t *tasks) empty() bool { return len(t.signers) == 0 && !t.claims() }

// stated is what is known about statements of one type by one signer.
type stated struct {
	proofs   []policy.Proof
	problems []*evidence.Problem
	listed   bool // from a list of evidence, rather than from memory
}

// facts are what one policy is evaluated over.
type facts struct {
	*work
	before bool // what was proven before counts where it cannot be told now
}

// Signature implements [policy.Facts].
func (f facts) Signature(s policy.Signature) policy.Leaf {
	leaf := f.known[s.Signer.ID()]
	if leaf.Outcome == policy.Undecided && f.before {
		if proofs := f.provenBefore(signatureKey(f.repository(), f.decision.Digest, s.Signer)); proofs != nil {
			return policy.Leaf{Outcome: policy.Allowed, Proofs: proofs}
		}
	}
	return leaf
}

// Attestation implements [policy.Facts]: the union over the claim's signers.
func (f facts) Attestation(a policy.Attestation) policy.Stated {
	s := policy.Stated{Whole: f.whole}
	why := f.troubles()
	for _, signer := range a.Signers {
		task := statementTask{signer.Signer.ID(), a.Type}
		if _, is := f.tasks.attestors[task]; !is {
			why.note(&evidence.Problem{
				Reason: evidence.NotAttested, Expected: "a signer of statements", Got: signer.Signer.Describe() + ", who signs none",
			})
			continue
		}
		known := f.stated[task]
		s.Whole = s.Whole && known.listed
		s.Proofs = append(s.Proofs, known.proofs...)
		why.note(known.problems...)
		if len(known.proofs) == 0 && f.before && why.open() {
			s.Proofs = append(s.Proofs, f.provenBefore(f.statementKey(task))...)
		}
	}
	s.Problems = why.ranked()
	return s
}

// Artifact implements [policy.Facts].
func (f facts) Artifact(a policy.Artifact) policy.Stated {
	s := policy.Stated{Whole: f.whole}
	why := f.troubles()
	for _, digest := range f.order {
		found := f.found[digest]
		if found.item.MediaType != a.Type {
			continue
		}
		proofs, problems := found.signedBy(a)
		switch {
		case len(proofs) == 0:
			s.Unsigned++
			why.note(problems...)
		case len(a.Conditions) > 0 && found.unreadable != nil: // signed, and nobody knows what it says
			s.Whole = false
			why.note(found.at(found.unreadable))
		default:
			s.Proofs = append(s.Proofs, proofs...)
		}
	}
	s.Problems = why.ranked()
	return s
}

// troubles are the problems of the evidence as a whole.
func (w *work) troubles() troubles {
	var t troubles
	if w.failed != nil {
		t.note(w.failed)
		return t
	}
	t.note(w.problems...)
	return t
}

// provenBefore returns proofs of within the last day, which say so
// (TRUST R35), or nil.
func (w *work) provenBefore(key proofKey) []policy.Proof {
	if w.decision.Digest.IsZero() {
		return nil
	}
	p, _, before := w.engine.recall(key)
	if !before {
		return nil
	}
	proofs := slices.Clone(p.proofs)
	for i := range proofs {
		proofs[i].Notes = append(slices.Clone(proofs[i].Notes), "proven before, at "+p.at.UTC().Format(time.RFC3339)+"; it could not be verified now")
	}
	return proofs
}

// signedBy returns a proof for each of the claim's signers who signed the
// artifact, with what it says, or why there is none.
func (a *artifact) signedBy(claim policy.Artifact) ([]policy.Proof, []*evidence.Problem) {
	var proofs []policy.Proof
	var why troubles
	for _, s := range claim.Signers {
		leaf := a.leaves[s.Signer.ID()]
		if leaf.Outcome == policy.Allowed && len(leaf.Proofs) > 0 {
			p := leaf.Proofs[0]
			p.Source = fmt.Sprintf("artifact %s, %s", a.item.Manifest, p.Source)
			p.Statement = a.statement
			proofs = append(proofs, p)
			continue
		}
		for _, p := range leaf.Problems {
			why.note(a.at(p))
		}
	}
	if a.failed != nil {
		why.note(a.at(a.failed))
	}
	return proofs, why.list
}

// at puts the artifact in front of where a problem is.
func (a *artifact) at(p *evidence.Problem) *evidence.Problem {
	at := *p
	at.Path = "artifact " + a.item.Manifest.String()
	if p.Path != "" {
		at.Path += ": " + p.Path
	}
	return &at
}
