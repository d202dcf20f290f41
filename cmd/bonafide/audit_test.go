package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/internal/kube/audit"
	"github.com/bonafide-dev/bonafide/policy"
)

// auditedResult is a result of a Pod "namespace/name".
func auditedResult(pod, image string, outcome policy.Outcome, reason evidence.Reason, message string) audit.Result {
	namespace, name, _ := strings.Cut(pod, "/")
	r := audit.Result{Namespace: namespace, Pod: name, UID: types.UID(pod), List: "containers", Container: "app", Verdict: &audit.Verdict{
		Image: image, Outcome: outcome, Reason: reason, Message: message,
	}}
	if outcome != policy.Unmatched {
		r.Policies = []audit.PolicyVerdict{{Origin: policy.Origin{Name: "release"}, Outcome: outcome, Effective: outcome, Message: message}}
	}
	return r
}

func someAudit() audited {
	const digest = "@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
	lifted := auditedResult("shop/old-0", "ghcr.io/acme/old:v1", policy.Allowed, "", "release: lifted by VerificationException migration until 2026-01-31T18:00:00Z: OPS-7")
	lifted.Policies[0].Lifts = []engine.Lift{{Exception: policy.Origin{Name: "migration"}, Reason: "OPS-7", Expires: time.Date(2026, 1, 31, 18, 0, 0, 0, time.UTC)}}
	sidecar := auditedResult("shop/web-1", "ghcr.io/acme/web:v1"+digest, policy.Allowed, "", "")
	sidecar.Container = "proxy"
	vague := auditedResult("shop/web-4", "ghcr.io/acme/web:v1"+digest, policy.Allowed, "", "")
	vague.Incomparable = true
	results := []audit.Result{
		auditedResult("infra/agent", "quay.io/vendor/agent:v4", policy.Unmatched, evidence.NoPolicy, "expected a policy that covers the image, got none"),
		auditedResult("shop/evil-0", "ghcr.io/acme/evil:v1", policy.Denied, evidence.NotSigned, "release: expected a signature, got none"),
		auditedResult("shop/evil-1", "ghcr.io/acme/evil:v1", policy.Denied, evidence.NotSigned, "release: expected a signature, got none"),
		auditedResult("shop/evil-2", "ghcr.io/acme/evil:v1", policy.Denied, evidence.NotSigned, "release: expected a signature, got none"),
		auditedResult("shop/evil-3", "ghcr.io/acme/evil:v1", policy.Denied, evidence.NotSigned, "release: expected a signature, got none"),
		lifted,
		auditedResult("shop/web-1", "ghcr.io/acme/web:v1"+digest, policy.Allowed, "", ""),
		sidecar, vague,
		auditedResult("shop/z\x1b[2J", "\x1b]0;title\x07", policy.Undecided, evidence.RegistryUnreachable, "release: \x1b[31m"),
	}
	return audited{where: "the cluster", report: audit.Report{
		Pods: 9, Results: results, Summary: audit.Summary{Allowed: 4, Excepted: 1, Denied: 4, Undecided: 1, Unmatched: 1},
		Uncovered: []audit.Uncovered{{Namespace: "infra", Pods: 1, Images: []string{"quay.io/vendor/agent:v4"}}, {Namespace: "team", Pods: 3, Images: []string{"a", "b"}}},
	}}
}

func TestAuditTable(t *testing.T) {
	var out bytes.Buffer
	if err := someAudit().table(&out); err != nil {
		t.Fatal(err)
	}
	want := `  NAMESPACE  IMAGE                                     PODS  OUTCOME    REASON
– infra      quay.io/vendor/agent:v4                   1     unmatched  NoPolicy
✗ shop       ghcr.io/acme/evil:v1                      4     denied     NotSigned
? shop       "\x1b]0;title\a"                          1     undecided  RegistryUnreachable
✓ shop       ghcr.io/acme/old:v1                       1     allowed    by exception
✓ shop       ghcr.io/acme/web:v1@sha256:0123456789ab…  2     allowed

✗ ghcr.io/acme/evil:v1
    release: expected a signature, got none
    in shop/evil-0, shop/evil-1, shop/evil-2 and 1 more Pod

? "\x1b]0;title\a"
    "release: \x1b[31m"
    in "shop/z\x1b[2J"

✓ ghcr.io/acme/old:v1
    release: lifted by VerificationException migration until 2026-01-31T18:00:00Z: OPS-7
    in shop/old-0

– images that no policy covers
    1 image of 1 Pod in namespace infra
    2 images of 3 Pods in namespace team

? not known which content of 1 image runs: the container runtime tells no digest of the registry

9 Pods, 10 images: 4 allowed (1 by exception), 4 denied, 1 undecided, 1 unmatched.
`
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
	if strings.ContainsRune(out.String(), '\x1b') {
		t.Error("R47: what a Pod's author writes steers the terminal")
	}
	for _, line := range strings.Split(out.String(), "\n") {
		if n := utf8.RuneCountInString(line); n > 100 {
			t.Errorf("want at most 100 columns, got %d: %s", n, line)
		}
	}
}

func TestAuditTableOfChanges(t *testing.T) {
	change := func(pod string, then policy.Outcome) auditChange {
		return auditChange{
			now:  auditedResult(pod, "ghcr.io/acme/app:v1", policy.Unmatched, evidence.NoPolicy, ""),
			then: auditedResult(pod, "ghcr.io/acme/app:v1", then, "", ""),
		}
	}
	cases := map[string]struct {
		reason  string
		changes []auditChange
		want    string
	}{
		"None": {reason: "nothing changes", want: "\nThe policies would change nothing.\n"},
		"One": {
			reason: "one image", changes: []auditChange{change("shop/a", policy.Denied)},
			want: "\nThe policies would change 1 image:\n" +
				"  NAMESPACE  IMAGE                IMAGES  NOW        THEN    REASON\n" +
				"✗ shop       ghcr.io/acme/app:v1  1       unmatched  denied\n",
		},
		"Several": {
			reason: "alike changes in a line, the worst first", changes: []auditChange{change("shop/a", policy.Allowed), change("shop/b", policy.Denied), change("shop/c", policy.Allowed)},
			want: "\nThe policies would change 3 images:\n" +
				"  NAMESPACE  IMAGE                IMAGES  NOW        THEN     REASON\n" +
				"✗ shop       ghcr.io/acme/app:v1  1       unmatched  denied\n" +
				"✓ shop       ghcr.io/acme/app:v1  2       unmatched  allowed\n",
		},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var out bytes.Buffer
			audited{projected: true, changes: c.changes}.changeTable(renderer{w: &out})
			if diff := cmp.Diff(c.want, out.String()); diff != "" {
				t.Errorf("%s: (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func TestAuditOfNothing(t *testing.T) {
	var out bytes.Buffer
	if err := (audited{where: "namespace shop"}).table(&out); err != nil || out.String() != "No Pods run in namespace shop.\n" {
		t.Errorf("want to be told that nothing runs, got %q, %v", out.String(), err)
	}
}

func TestAuditJSONShowsExceptions(t *testing.T) {
	raw, err := json.Marshal(someAudit().json())
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range []string{`"excepted":1`, `"exceptions":[{"name":"migration","reason":"OPS-7","expires":"2026-01-31T18:00:00Z"}]`, `"runningUnknown":true`} {
		if !bytes.Contains(raw, []byte(part)) {
			t.Errorf("want %s, got\n%s", part, raw)
		}
	}
	if n := bytes.Count(raw, []byte(`"exceptions"`)); n != 1 {
		t.Errorf("want exceptions where there are some, got %d", n)
	}
}

func TestProgressIsForTerminals(t *testing.T) {
	var out bytes.Buffer
	for _, p := range []progress{newProgress(&out), {w: &out}} {
		p.at("listing Pods")
		p.bar(1, 2)
		p.end()
	}
	if out.Len() != 0 {
		t.Errorf("want nothing where there is no terminal, got %q", out.String())
	}
	p := progress{w: &out, on: true}
	p.at("listing Pods")
	p.bar(1, 4)
	p.bar(4, 4)
	p.bar(0, 0)
	want := "\r\x1b[Klisting Pods …\r\x1b[K[##########                              ] 1/4 \r\x1b[K\r\x1b[K"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("on a terminal (-want +got):\n%s", diff)
	}
}
