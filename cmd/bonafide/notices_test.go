package main

import (
	"bytes"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/internal/kube/policies"
	"github.com/bonafide-dev/bonafide/policy"
)

// gauges are what was counted last.
type gauges map[string]string

func (g gauges) PolicyReady(kind string, ready, notReady int) {
	g[kind] = fmt.Sprintf("%d ready, %d not", ready, notReady)
}

// logged returns what was logged since the last call, without times.
func logged(b *bytes.Buffer) []string {
	defer b.Reset()
	var all []string
	for line := range strings.Lines(b.String()) {
		_, line, _ = strings.Cut(line, "level=")
		all = append(all, strings.TrimSpace(line))
	}
	return all
}

func TestReadinessIsToldOnChangeAlone(t *testing.T) {
	var log bytes.Buffer
	counted := gauges{}
	n := newNotices(slog.New(slog.NewTextHandler(&log, nil)), counted)
	good := policies.Result{Kind: "VerificationPolicy", Namespace: "shop", Name: "good", Ready: true, Reason: "InForce"}
	bad := policies.Result{Kind: "VerificationPolicy", Namespace: "shop", Name: "bad", Reason: "KeyUnavailable", Message: "none"}
	list := policies.Result{Kind: "ImageDenyList", Name: "stop", Ready: true, Reason: "InForce"}
	worse, mended := bad, bad
	worse.Message, mended.Ready = "malformed", true
	steps := []struct {
		reason  string
		results []policies.Result
		log     []string
		counted gauges
	}{
		{"what is wrong is said", []policies.Result{good, bad, list},
			[]string{`WARN msg="not ready" object="VerificationPolicy shop/bad" reason=KeyUnavailable message=none`},
			gauges{"VerificationPolicy": "1 ready, 1 not", "ImageDenyList": "1 ready, 0 not"}},
		{"and not again", []policies.Result{good, bad, list}, nil,
			gauges{"VerificationPolicy": "1 ready, 1 not", "ImageDenyList": "1 ready, 0 not"}},
		{"until it is another thing; a kind without objects counts none", []policies.Result{worse},
			[]string{`WARN msg="not ready" object="VerificationPolicy shop/bad" reason=KeyUnavailable message=malformed`},
			gauges{"VerificationPolicy": "0 ready, 1 not", "ImageDenyList": "0 ready, 0 not"}},
		{"what is well again is said", []policies.Result{mended},
			[]string{`INFO msg="ready again" object="VerificationPolicy shop/bad"`},
			gauges{"VerificationPolicy": "1 ready, 0 not", "ImageDenyList": "0 ready, 0 not"}},
		{"once", []policies.Result{mended}, nil,
			gauges{"VerificationPolicy": "1 ready, 0 not", "ImageDenyList": "0 ready, 0 not"}},
		{"what has gone is not well again", []policies.Result{worse},
			[]string{`WARN msg="not ready" object="VerificationPolicy shop/bad" reason=KeyUnavailable message=malformed`},
			gauges{"VerificationPolicy": "0 ready, 1 not", "ImageDenyList": "0 ready, 0 not"}},
		{"nothing is left", nil, nil,
			gauges{"VerificationPolicy": "0 ready, 0 not", "ImageDenyList": "0 ready, 0 not"}},
	}
	for _, s := range steps {
		n.ready(t.Context(), s.results)
		if diff := cmp.Diff(s.log, logged(&log)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.reason, diff)
		}
		if diff := cmp.Diff(s.counted, counted); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.reason, diff)
		}
	}
}

// TestR19WeakeningsAreToldOnce: each for as long as it is there.
func TestR19WeakeningsAreToldOnce(t *testing.T) {
	var log bytes.Buffer
	n := newNotices(slog.New(slog.NewTextHandler(&log, nil)), gauges{})
	weak := func(name string, fields ...string) policy.Policy {
		p := policy.Policy{Origin: policy.Origin{Name: name}, Notes: []policy.Note{{Path: "x", Text: "replaced"}}}
		for _, f := range fields {
			p.Notes = append(p.Notes, policy.Note{Path: f, Text: "less", Weakening: true})
		}
		return p
	}
	line := func(name, field string) string {
		return fmt.Sprintf(`WARN msg="policy is weakened" policy=%s field=%s note=less`, name, field)
	}
	steps := []struct {
		reason   string
		policies []policy.Policy
		log      []string
	}{
		{"each is said once, also of a policy with several entries", []policy.Policy{weak("a", "log", "log"), weak("a", "log")}, []string{line("a", "log")}},
		{"another policy is news, the first is not", []policy.Policy{weak("a", "log"), weak("b", "log")}, []string{line("b", "log")}},
		{"so is another place", []policy.Policy{weak("a", "log", "mode")}, []string{line("a", "mode")}},
		{"and one that comes back", []policy.Policy{weak("a", "log"), weak("b", "log")}, []string{line("b", "log")}},
	}
	for _, s := range steps {
		n.weakened(t.Context(), s.policies)
		if diff := cmp.Diff(s.log, logged(&log)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", s.reason, diff)
		}
	}
}
