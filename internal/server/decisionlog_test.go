package server_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/server"
	"github.com/bonafide-dev/bonafide/policy"
)

// decisionLines returns what was logged of images, without what differs from
// run to run.
func decisionLines(t *testing.T, log *bytes.Buffer) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for l := range bytes.Lines(log.Bytes()) {
		var line map[string]any
		if err := json.Unmarshal(l, &line); err != nil {
			t.Fatalf("%v in %s", err, l)
		}
		if _, is := line["outcome"]; !is {
			continue
		}
		if _, is := line["ms"].(float64); !is {
			t.Errorf("want how long it took, got %s", l)
		}
		delete(line, "time")
		delete(line, "ms")
		lines = append(lines, line)
	}
	return lines
}

func logTo(log *bytes.Buffer) func(*server.Options) {
	return func(o *server.Options) { o.Logger = slog.New(slog.NewJSONHandler(log, nil)) }
}

func TestEachImageHasOneLine(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d.Digest = verifiedDigest
		switch d.Image.Name {
		case "app":
			d.Steps = []engine.Step{{Name: "select"}, {Name: "resolve"}, {Name: "gather"}, {Name: "verify"}}
			return deny(r, d)
		case "init":
			d.Steps = []engine.Step{{Name: "select"}, {Name: "resolve"}}
			d = by(d, policy.Audit, policy.Denied, notSigned)
			return allow(r, d)
		}
		d.Outcome, d.Digest = policy.Unmatched, imageref.Digest{}
		return d
	}), logTo(&log))
	ask(t, s, validateDoor, recorded(t, "pod-create"))
	line := func(more map[string]any) map[string]any {
		all := map[string]any{
			"level": "INFO", "door": "validate", "uid": "00000000-0000-4000-8000-000000000000", "operation": "CREATE",
			"kind": "Pod", "namespace": "recorded", "name": "app",
		}
		for k, v := range more {
			all[k] = v
		}
		return all
	}
	want := []map[string]any{
		line(map[string]any{
			"msg": "image allowed", "container": "init", "image": "registry.example/init:v1", "digest": digest, "outcome": "allowed", "reason": "",
			"policy": "signed,signed", "cache": "hit",
			"findings": []any{"registry.example/init:v1: signed: require[0]: expected a signature by key A, got no signature"},
		}),
		line(map[string]any{
			"msg": "image denied", "container": "app", "image": "registry.example/app:v1", "digest": digest, "outcome": "denied", "reason": "NotSigned",
			"policy": "signed", "cache": "miss",
			"findings": []any{"registry.example/app:v1: signed: require[0]: expected a signature by key A, got no signature"},
		}),
		line(map[string]any{
			"msg": "image unmatched", "container": "model", "image": "registry.example/model:v1", "digest": "", "outcome": "unmatched", "reason": "NoPolicy",
			"policy": "", "cache": "",
		}),
	}
	if diff := cmp.Diff(want, decisionLines(t, &log)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestOtherDoorsLogEachImage(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, each(byTag), logTo(&log))
	provide(t, s, ownValidate, "[team-a]ghcr.io/acme/app:allowed", "ghcr.io/acme/app:denied", "no image")
	provide(t, s, ownMutate, "ghcr.io/acme/app@"+digest) // kept as it is: nothing is decided
	var got []string
	for _, l := range decisionLines(t, &log) {
		got = append(got, fmt.Sprint(l["door"], " ", l["image"], " ", l["outcome"], " ", l["reason"]))
		if l["uid"] == "" {
			t.Errorf("want the trace's id, got %v", l)
		}
	}
	want := []string{
		"gatekeeper-validate [team-a]ghcr.io/acme/app:allowed allowed ",
		"gatekeeper-validate ghcr.io/acme/app:denied denied NotSigned",
		"gatekeeper-validate no image denied MalformedReference",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestR47LinesAreBounded: whatever a Pod's author writes, it is one line of some
// length, and none of ours.
func TestR47LinesAreBounded(t *testing.T) {
	var log bytes.Buffer
	s := newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		for range 500 {
			d = by(d, policy.Enforce, policy.Denied, notSigned)
		}
		return d
	}), func(o *server.Options) { o.Logger = slog.New(slog.NewTextHandler(&log, nil)) })
	evil := func(r map[string]any) {
		c := object(r)["spec"].(map[string]any)["containers"].([]any)[0].(map[string]any)
		c["image"] = "a\nlevel=INFO msg=\"image allowed\"" + strings.Repeat("x", 100_000)
	}
	response := ask(t, s, validateDoor, recorded(t, "pod-create", evil))
	for l := range strings.Lines(log.String()) {
		if len(l) > 20_000 || !strings.HasPrefix(l, "time=") {
			t.Errorf("want a bounded line of ours, got %d bytes: %.200q", len(l), l)
		}
	}
	for k, v := range response.AuditAnnotations {
		if len(v) > 256 || strings.Contains(v, "\n") {
			t.Errorf("annotation %s: want a short line, got %d bytes: %.100q", k, len(v), v)
		}
	}
}

func TestAuditAnnotations(t *testing.T) {
	s := newServer(t, each(func(r engine.Request, d engine.ImageDecision) engine.ImageDecision {
		d.Digest = verifiedDigest
		if d.Image.Name == "app" {
			return deny(r, d)
		}
		return allow(r, d)
	}))
	got := ask(t, s, validateDoor, recorded(t, "pod-create")).AuditAnnotations
	want := map[string]string{
		"image.0": "registry.example/init:v1", "digest.0": digest, "policy.0": "signed", "outcome.0": "allowed",
		"image.1": "registry.example/app:v1", "digest.1": digest, "policy.1": "signed", "outcome.1": "denied NotSigned",
		"image.2": "registry.example/model:v1", "digest.2": digest, "policy.2": "signed", "outcome.2": "allowed",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	many := func(r map[string]any) {
		var containers []any
		for i := range 40 {
			containers = append(containers, map[string]any{"name": fmt.Sprint("c", i), "image": fmt.Sprint("registry.example/app:v", i)})
		}
		object(r)["spec"].(map[string]any)["containers"] = containers
	}
	got = ask(t, s, validateDoor, recorded(t, "pod-create", many)).AuditAnnotations
	if len(got) != 16*4+1 || got["more"] != "26" {
		t.Errorf("want 16 images and how many more, got %d annotations and %q", len(got), got["more"])
	}
}

func TestR47ClusterMetricsAreBounded(t *testing.T) {
	m := server.NewMetrics()
	s := newServer(t, each(allow), func(o *server.Options) { o.Metrics = m })
	uncovered := map[string]int{"most": 1000}
	for i := range 300 {
		uncovered[fmt.Sprintf("team-%03d", i)] = 2
		m.ExceptionUsed(fmt.Sprintf("exception-%03d", i), i%2 == 0)
	}
	m.Uncovered(uncovered)
	m.PolicyReady("ClusterVerificationPolicy", 3, 1)
	if all := ours(scrape(t, s)); strings.Count(all, "bonafide_uncovered_images{") != 201 || strings.Count(all, "bonafide_exception_uses_total{") != 202 {
		t.Errorf("want 200 labels and the rest, got\n%s", all)
	}
	for _, sample := range []string{
		`bonafide_uncovered_images{namespace="most"} 1000`, `bonafide_uncovered_images{namespace="_other"} 202`,
		`bonafide_exception_uses_total{break_glass="true",exception="_other"} 50`,
		`bonafide_policy_objects{kind="ClusterVerificationPolicy",ready="true"} 3`, `bonafide_policy_objects{kind="ClusterVerificationPolicy",ready="false"} 1`,
	} {
		wantMetric(t, s, sample+"\n", true)
	}
	m.Uncovered(map[string]int{"team-000": 1})
	wantMetric(t, s, `namespace="most"`, false)
	wantMetric(t, s, `bonafide_uncovered_images{namespace="team-000"} 1`+"\n", true)
}

// forged says that nothing is known about a reason that others made up.
var forged = &evidence.Problem{Reason: "Forged", Got: "a reason of nobody's"}

func TestR47UnknownReasonIsNoLabel(t *testing.T) {
	s := newServer(t, each(func(_ engine.Request, d engine.ImageDecision) engine.ImageDecision {
		return by(d, policy.Enforce, policy.Denied, forged)
	}))
	provide(t, s, ownValidate, "ghcr.io/acme/app:1")
	wantMetric(t, s, "Forged", false)
}
