package jmes_test

import (
	"errors"
	"testing"
	"time"

	"github.com/bonafide-dev/bonafide/attest/jmes"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/policy"
)

// now is the time of every decision here.
var now = time.Date(2026, 9, 1, 12, 0, 0, 0, time.FixedZone("", 2*3600))

const digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

// input is a request about a Pod's image with what a statement says about it.
func input(t testing.TB, predicate string) policy.ConditionInput {
	t.Helper()
	image, err := imageref.Parse("ghcr.io/acme/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	verified, err := imageref.ParseDigest(digest)
	if err != nil {
		t.Fatal(err)
	}
	return policy.ConditionInput{
		Statement: policy.NewArtifact("application/json", []byte(predicate)),
		Image:     image,
		Digest:    verified,
		Request: policy.Request{
			Namespace: policy.Namespace{State: policy.NamespaceKnown, Name: "shop"},
			Kind:      "Pod", Operation: "CREATE", User: "system:serviceaccount:shop:deployer",
		},
		Now: now,
	}
}

// holds, isFalse and fails are what a condition can come to.
const (
	holds   = evidence.Reason("")
	isFalse = evidence.ConditionNotMet
	fails   = evidence.ConditionFailed
)

func reasonOf(err error) evidence.Reason {
	if err == nil {
		return holds
	}
	return evidence.ProblemOf(err).Reason
}

func compile(t testing.TB, tests ...jmes.Test) policy.Condition {
	t.Helper()
	c, err := jmes.Compile([]jmes.Block{{All: tests}}, jmes.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestEqualsOverAPath(t *testing.T) {
	c := compile(t, jmes.Test{Key: "{{ a.b }}", Operator: "Equals", Value: "x"})
	for document, want := range map[string]evidence.Reason{
		`{"a":{"b":"x"}}`:    holds,
		`{"a":{"b":"y"}}`:    isFalse,
		`{"a":{}}`:           fails,
		`{"a":{"b":null}}`:   fails,
		`{"a":{"b":["x"]}}`:  fails,
		`{}`:                 fails,
		`[]`:                 evidence.MalformedEvidence,
		`{"a":{},"a":"dup"}`: evidence.MalformedEvidence,
	} {
		err := c.Check(t.Context(), input(t, document))
		if got := reasonOf(err); got != want {
			t.Errorf("%s: want %q, got %q: %v", document, want, got, err)
		}
		var p *evidence.Problem
		if err != nil && !errors.As(err, &p) {
			t.Errorf("%s: want a Problem, got %T", document, err)
		}
	}
}
