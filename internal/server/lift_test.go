package server_test

import (
	"bytes"
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
)

var liftEnds = time.Date(2027, 1, 2, 3, 4, 5, 0, time.UTC)

// lift allows as an engine does where an exception lifts the policy.
func lift(breakGlass bool) server.DeciderFunc {
	return each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d = allow(r, d)
		l := engine.Lift{
			Exception: policy.Origin{Kind: "VerificationException", Name: "outage-17"}, Policy: d.Policies[0].Origin,
			BreakGlass: breakGlass, Reason: "the signer is down", Expires: liftEnds,
		}
		d.Policies[0].Lifts, d.Lifted = []engine.Lift{l}, []engine.Lift{l}
		return d
	})
}

func TestLiftedPolicyIsNamedToTheUser(t *testing.T) {
	for _, path := range []string{mutateDoor, validateDoor} {
		response := ask(t, newServer(t, lift(false)), path, recorded(t, "pod-create"))
		wantAllowed(t, response)
		want := []string{
			"bonafide: registry.example/init:v1: signed: lifted by outage-17 until 2027-01-02T03:04:05Z: the signer is down",
			"bonafide: registry.example/app:v1: signed: lifted by outage-17 until 2027-01-02T03:04:05Z: the signer is down",
			"bonafide: registry.example/model:v1: signed: lifted by outage-17 until 2027-01-02T03:04:05Z: the signer is down",
		}
		if diff := cmp.Diff(want, response.Warnings); diff != "" {
			t.Errorf("%s: -want +got:\n%s", path, diff)
		}
	}
}

// TestBreakGlassIsAnnounced: each use has a log line, a metric and the hook, once
// for an object however many images it has; other exceptions have the metric.
func TestBreakGlassIsAnnounced(t *testing.T) {
	for _, breakGlass := range []bool{true, false} {
		var log bytes.Buffer
		var announced []string
		s := newServer(t, lift(breakGlass), logTo(&log), func(o *server.Options) {
			o.BreakGlass = func(_ context.Context, exception policy.Origin, object string) {
				announced = append(announced, exception.Name+" for "+object)
			}
		})
		use := func() {
			ask(t, s, mutateDoor, recorded(t, "pod-create"))
			ask(t, s, validateDoor, recorded(t, "pod-create"))
		}
		use()
		use()
		provide(t, s, ownValidate, "ghcr.io/acme/app:1")
		var want []string
		samples := `bonafide_exception_uses_total{break_glass="false",exception="outage-17"} 3`
		if breakGlass {
			want = []string{"outage-17 for recorded/Pod app", "outage-17 for recorded/Pod app", "outage-17 for image ghcr.io/acme/app:1"}
			samples = `bonafide_exception_uses_total{break_glass="true",exception="outage-17"} 3`
		}
		if diff := cmp.Diff(want, announced); diff != "" {
			t.Errorf("breakGlass=%t: -want +got:\n%s", breakGlass, diff)
		}
		if got := strings.Count(log.String(), "BREAK GLASS"); got != len(want) {
			t.Errorf("breakGlass=%t: want %d lines, got %d in %s", breakGlass, len(want), got, &log)
		}
		wantMetric(t, s, samples+"\n", true)
	}
}

func TestR47DryRunAnnouncesNothing(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, lift(true), logTo(&log), func(o *server.Options) {
		o.BreakGlass = func(context.Context, policy.Origin, string) { t.Error("announced") }
	})
	wantAllowed(t, ask(t, s, validateDoor, recorded(t, "pod-create", set("dryRun", true))))
	wantMetric(t, s, "bonafide_exception_uses_total", false)
	if log.Len() > 0 {
		t.Errorf("want nothing in the log, got %s", &log)
	}
}

// TestLiftedAtCheckImages: an image that an exception lifts its trust policy from
// is one that the policy does not ask about. It does not fail, also where its tag
// could not be looked up.
func TestLiftedAtCheckImages(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, lift(true), checked, logTo(&log))
	w := postCheck(s.Doors(), images(""))
	if w.Code != http.StatusOK || strings.Contains(w.Body.String(), "replace") {
		t.Errorf("want 200 without a result, got %d: %s", w.Code, w.Body)
	}
	if !strings.Contains(log.String(), "BREAK GLASS") {
		t.Errorf("want it announced, got %s", &log)
	}
	lines := decisionLines(t, &log)
	if len(lines) != 1 || lines[0]["door"] != "checkimages" || lines[0]["outcome"] != "allowed" || lines[0]["trustPolicy"] != "tp" {
		t.Errorf("want the decision in the log, got %v", lines)
	}
}

// TestR39LiftedAtCheckImagesIsPinned: the digest that exceptions and deny lists
// were asked about is the one that runs, however the tag moves.
func TestR39LiftedAtCheckImagesIsPinned(t *testing.T) {
	d, err := imageref.ParseDigest(digest)
	if err != nil {
		t.Fatal(err)
	}
	lifts := lift(false)
	cases := map[string]struct {
		reason string
		change func(*engine.ImageDecision)
		status int
		want   string
	}{
		"Resolved": {"the digest is known", func(i *engine.ImageDecision) { i.Digest = d }, http.StatusOK, `"value": "ghcr.io/acme/app@` + digest + `"`},
		"Outage":   {"it is not", func(*engine.ImageDecision) {}, http.StatusOK, `"results": []`},
		"R48NotEnforced": {"nobody lifts anything of a policy that only reports", func(i *engine.ImageDecision) {
			i.Digest, i.Policies[0].Mode = d, policy.Audit
		}, http.StatusNotAcceptable, "no policy that enforces allows the image"},
		"R15Another": {"another policy is not lifted and does not allow", func(i *engine.ImageDecision) {
			i.Digest = d
			*i = by(*i, policy.Enforce, policy.Denied, notSigned)
		}, http.StatusNotAcceptable, "a signature by key A"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := newServer(t, server.DeciderFunc(func(ctx context.Context, r engine.Request) engine.Decision {
				decision := lifts(ctx, r)
				for i := range decision.Images {
					tc.change(&decision.Images[i])
				}
				return decision
			}), checked)
			w := postCheck(s.Doors(), images(""))
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("%s: want %d with %s, got %d: %s", tc.reason, tc.status, tc.want, w.Code, w.Body)
			}
		})
	}
}
