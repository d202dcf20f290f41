package server_test

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
)

func observing(o *server.Options) { o.ObserveOnly = true }

const wouldDeny = "bonafide: observe only: would deny: "

func wantObserved(t *testing.T, r *admissionv1.AdmissionResponse, words ...string) {
	t.Helper()
	wantAllowed(t, r)
	if len(r.Patch) > 0 || r.PatchType != nil || r.Result != nil {
		t.Errorf("want neither patch nor status, got %s and %v", r.Patch, r.Result)
	}
	all := strings.Join(r.Warnings, "\n")
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("want %q in the warnings, got %q", w, r.Warnings)
		}
	}
	for _, w := range r.Warnings {
		if len(w) > 256 || strings.Contains(w, "\n") {
			t.Errorf("want short lines, got %q", w)
		}
	}
	if len(r.Warnings) > 13 {
		t.Errorf("want few warnings, got %d", len(r.Warnings))
	}
}

// TestR48ObserveOnlyAdmitsAndSaysWhatItWouldDeny asks with the switch on, and the
// same without it, which must deny: the switch alone admits.
func TestR48ObserveOnlyAdmitsAndSaysWhatItWouldDeny(t *testing.T) {
	long := &evidence.Problem{Reason: evidence.NotSigned, Expected: strings.Repeat("x", 2000), Got: "none"}
	cases := map[string]struct {
		reason string
		decide server.DeciderFunc
		edits  []edit
		words  []string
	}{
		"Denied":     {"each refused image has a line", each(deny), nil, []string{wouldDeny + "registry.example/app:v1: signed: ", wouldDeny + "registry.example/init:v1"}},
		"Undecided":  {"errors admit too", each(bySelector), nil, []string{wouldDeny, "expected the namespace"}},
		"Panic":      {"and panics", func(context.Context, engine.Request) engine.Decision { panic("boom") }, nil, []string{wouldDeny}},
		"Unreadable": {"and objects that nobody can read", each(allow), []edit{set("object", nil)}, []string{wouldDeny + "Pod app: "}},
		"Long": {"bounded", each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
			for range 20 {
				d = by(d, policy.Enforce, policy.Denied, long)
			}
			return d
		}), nil, []string{wouldDeny, "more warnings"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			for _, path := range []string{mutateDoor, validateDoor} {
				body := recorded(t, "pod-create", tc.edits...)
				wantDenied(t, ask(t, newServer(t, tc.decide), path, body))
				wantObserved(t, ask(t, newServer(t, tc.decide, observing), path, body), tc.words...)
			}
		})
	}
}

func TestR40ObserveOnlyNeverPatches(t *testing.T) {
	s := newServer(t, each(pin), observing)
	for _, path := range []string{mutateDoor, validateDoor} {
		response := ask(t, s, path, recorded(t, "pod-create"))
		wantObserved(t, response)
		if len(response.Warnings) > 0 { // the tag would have been replaced, had we not only observed
			t.Errorf("%s: want no warning, got %q", path, response.Warnings)
		}
	}
	// A tag that could not have been pinned would be denied.
	unpinned := each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d = pin(r, d)
		d.Pinned = ""
		return d
	})
	wantObserved(t, ask(t, newServer(t, unpinned, observing), validateDoor, recorded(t, "pod-create")), wouldDeny, "expected an image named by digest")
}

func TestObserveOnlyCountsWhatWasDecided(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, each(deny), observing, func(o *server.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	wantMetric(t, s, "bonafide_observe_only 1\n", true)
	wantMetric(t, newServer(t, each(deny)), "bonafide_observe_only 0\n", true)
	response := ask(t, s, validateDoor, recorded(t, "pod-create"))
	wantMetric(t, s, `bonafide_decisions_total{door="validate",outcome="denied",reason="NotSigned"} 3`, true)
	wantMetric(t, s, `bonafide_admission_seconds_count{allowed="false",door="validate"} 1`, true)
	if got := response.AuditAnnotations["outcome.0"]; got != "denied NotSigned" {
		t.Errorf("audit annotation: want what was decided, got %q", got)
	}
	if !strings.Contains(log.String(), "outcome=denied") || !strings.Contains(log.String(), "observeOnly=true") {
		t.Errorf("want the decision in the log, got %s", &log)
	}
}

// TestR48ObserveOnlyVouchesForNothing: at the other doors "verified" is what is
// acted on.
func TestR48ObserveOnlyVouchesForNothing(t *testing.T) {
	s := newServer(t, each(deny), observing)
	for _, path := range validators() {
		for _, i := range provide(t, s, path, "ghcr.io/acme/app:1").Response.Items {
			value, _ := i.Value.(map[string]any)
			if i.Value != nil && value["isSuccess"] != false {
				t.Errorf("%s: want it refused, got %+v", path, i)
			}
		}
	}
}

// TestR19ObserveOnlyIsSaidAtEachStart reads the log of a start.
func TestR19ObserveOnlyIsSaidAtEachStart(t *testing.T) {
	for _, only := range []bool{true, false} {
		var log bytes.Buffer
		r := start(t, each(deny), func(o *server.Options) {
			o.ObserveOnly = only
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
		})
		r.stop()
		for range r.done {
		}
		if said := strings.Contains(log.String(), "OBSERVE ONLY") && strings.Contains(log.String(), "level=WARN"); said != only {
			t.Errorf("ObserveOnly=%t: got log %s", only, &log)
		}
	}
}
