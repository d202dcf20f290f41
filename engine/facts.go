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
	signers       []policy.Signer // who may have signed the digest
	statements    []statementTask
	attestors     map[statementTask]policy.Attestor
	lists         map[statementTask]bool // decided over all that there is
	embedded      []statementTask        // statements that count if the digest's index holds them
	artifacts     []artifactTask         // by type
	artifactLists bool
	covers        [][]policy.SignerID // any of each should have signed the digest, an index, for what it holds
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
	content      bool                // a claim looks at what they say
}

func tasksOf(policies []selected) tasks {
	var t tasks
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
	for _, s := range a.Signers {
		attestor, is := s.Signer.(policy.Attestor)
		if !is { // one that attests nothing has proven nothing
			continue
		}
		if t.attestors == nil {
			t.attestors, t.lists = map[statementTask]policy.Attestor{}, map[statementTask]bool{}
		}
		task := statementTask{s.Signer.ID(), a.Type}
		t.lists[task] = t.lists[task] || a.Quantifier != policy.Any
		if _, reads := s.Signer.(policy.CoveredReader); a.Embedded && reads && !slices.Contains(t.embedded, task) {
			t.embedded = append(t.embedded, task)
		}
		if _, known := t.attestors[task]; known {
			continue
		}
		t.attestors[task] = attestor
		t.statements = append(t.statements, task)
	}
}

func (t *tasks) artifact(a policy.Artifact) {
	t.artifactLists = t.artifactLists || a.Quantifier != policy.Any
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
	t.artifacts[i].content = t.artifacts[i].content || reads(a.Claim)
}

// reads reports whether a claim looks at what an artifact says.
func reads(c policy.Claim) bool {
	return len(c.Conditions) > 0 || (c.Dated != nil && (c.MaxAge > 0 || c.Quantifier == policy.Newest))
}

func (t *tasks) empty() bool {
	return len(t.signers) == 0 && len(t.statements) == 0 && len(t.artifacts) == 0
}

// stated is what is known about statements of one type by one signer.
type stated struct {
	proofs   []policy.Proof
	problems []*evidence.Problem
	listed   bool // from a list of evidence, rather than from memory
}

// facts are what one policy is evaluated over.
type facts struct {
	*subject
	before bool // what was proven before counts where it cannot be told now
}

// Signature implements [policy.Facts].
func (f facts) Signature(s policy.Signature) policy.Leaf {
	leaf := f.known[s.Signer.ID()]
	if leaf.Outcome == policy.Undecided && f.before {
		if proofs := f.provenBefore(signatureKey(f.repository(), f.digest, s.Signer)); proofs != nil {
			return policy.Leaf{Outcome: policy.Allowed, Proofs: proofs}
		}
	}
	return leaf
}

// Attestation implements [policy.Facts]: the union over the claim's signers.
func (f facts) Attestation(a policy.Attestation) policy.Stated {
	s := policy.Stated{Whole: f.failed == nil}
	var why troubles
	if f.failed != nil {
		why.note(f.failed)
	}
	for _, signer := range a.Signers {
		task := statementTask{signer.Signer.ID(), a.Type}
		if _, is := f.tasks.attestors[task]; !is {
			why.note(&evidence.Problem{
				Reason: evidence.NotAttested, Expected: "a signer of statements", Got: signer.Signer.Describe() + ", who signs none",
			})
			continue
		}
		known, g := f.stated[task], f.statementsAt(task)
		s.Whole = s.Whole && known.listed && g.whole
		s.Proofs = append(s.Proofs, known.proofs...)
		why.note(g.troubles().list...)
		why.note(known.problems...)
		if len(known.proofs) == 0 && f.before && why.open() && g.ready {
			s.Proofs = append(s.Proofs, f.provenBefore(f.statementKey(task, g))...)
		}
		if a.Embedded && slices.Contains(f.tasks.embedded, task) && len(f.within) > 0 {
			held := f.held(task)
			s.Whole = s.Whole && held.listed
			s.Proofs = append(s.Proofs, held.proofs...)
			why.note(held.problems...)
		}
	}
	s.Problems = why.ranked()
	return s
}

// Artifact implements [policy.Facts].
func (f facts) Artifact(a policy.Artifact) policy.Stated {
	g := f.artifactsAt()
	s := policy.Stated{Whole: g.whole}
	why := g.troubles()
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
		case reads(a.Claim) && found.unreadable != nil: // signed, and nobody knows what it says
			s.Whole = false
			why.note(found.at(found.unreadable))
		default:
			s.Proofs = append(s.Proofs, proofs...)
		}
	}
	s.Problems = why.ranked()
	return s
}

// provenBefore returns proofs of within the last day, which say so
// (TRUST R35), or nil.
func (s *subject) provenBefore(key proofKey) []policy.Proof {
	if s.digest.IsZero() {
		return nil
	}
	p, _, before := s.engine.recall(key)
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
