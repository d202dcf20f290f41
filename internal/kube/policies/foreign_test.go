package policies_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/kube/policies"
)

var errSame = errors.New("expected another signer, got the same or none")

func quoted(s string) string {
	raw, _ := json.Marshal(s) // a string
	return string(raw)
}

// lines is a log that hands out each line.
type lines chan string

func (l lines) Write(p []byte) (int, error) {
	select {
	case l <- string(bytes.TrimSpace(p)):
	default:
	}
	return len(p), nil
}

func logInto(log chan string) *slog.Logger { return slog.New(slog.NewTextHandler(lines(log), nil)) }

// definition is the least that an API server takes as a kind.
func definition(group, version, kind, plural, scope string) string {
	return `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: ` + plural + `.` + group + `}
spec:
  group: ` + group + `
  scope: ` + scope + `
  names: {kind: ` + kind + `, plural: ` + plural + `}
  versions:
  - name: ` + version + `
    served: true
    storage: true
    subresources: {status: {}}
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`
}

func kyvernoPolicy(name, rule string) string {
	return "apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: " + name + "}\nspec:\n  validationFailureAction: Enforce\n  rules:\n" +
		"  - name: r\n    match: {any: [{resources: {kinds: [Pod]}}]}\n    " + rule + "\n"
}

const (
	kyvernoValidate = "validate: {message: no, pattern: {metadata: {name: '?*'}}}"
	kyvernoUnread   = "verifyImages: [{imageReferences: ['ghcr.io/*'], attestors: [{entries: [{keys: {publicKeys: none}}]}]}]"
)

func kyvernoVerify(key string) string {
	return "verifyImages: [{imageReferences: ['ghcr.io/*'], attestors: [{entries: [{keys: {publicKeys: " + quoted(key) + ", rekor: {ignoreTlog: true}, ctlog: {ignoreSCT: true}}}]}]}]"
}

// TestForeignKindAppearsAndGoes: a kind is watched from the moment its
// definition is there, and its policies end with it.
func TestForeignKindAppearsAndGoes(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	_, seen := source(t, c.Config, nil)
	seen.await(t, "the first set", func(policies.Set) error { return nil })
	t.Run("Installed", func(t *testing.T) {
		established(t, c, definition("kyverno.io", "v1", "ClusterPolicy", "clusterpolicies", "Cluster"))
		c.Apply(t, kyvernoPolicy("verifies", kyvernoVerify(keyA)), kyvernoPolicy("validates", kyvernoValidate), kyvernoPolicy("unread", kyvernoUnread))
		set := seen.await(t, "Kyverno's policy", is("verifies", true, inForce))
		if find(set, "verifies") == nil {
			t.Error("expected its policies, got none")
		}
		set = seen.await(t, "one that is not about images", is("validates", true, policies.ReasonIgnored))
		if p := find(set, "validates"); p != nil {
			t.Errorf("expected no policy of it, got %+v", p)
		}
		set = seen.await(t, "R18: one about images that cannot be read", is("unread", false, policies.ReasonInvalidPolicy))
		if p := find(set, "unread"); p == nil || p.Invalid == nil {
			t.Errorf("expected an invalid policy, got %+v", p)
		}
		c.Apply(t, kyvernoPolicy("verifies", kyvernoValidate))
		set = seen.await(t, "one that is no longer about images", is("verifies", true, policies.ReasonIgnored))
		if p := find(set, "verifies"); p != nil {
			t.Errorf("expected that no good version outlives what its author took away, got %+v", p)
		}
	})
	seen.await(t, "the end of the kind", isGone("unread"))
}

// TestR18BrokenTrustPolicyIsForThoseWhoNameIt: a document of a kind that callers
// choose decides no other request, and a store decides none.
func TestR18BrokenTrustPolicyIsForThoseWhoNameIt(t *testing.T) {
	c := shared.Cluster(t)
	definitions(t, c)
	established(t, c, definition("notation.nirmata.io", "v1alpha1", "TrustPolicy", "trustpolicies", "Cluster"))
	established(t, c, definition("notation.nirmata.io", "v1alpha1", "TrustStore", "truststores", "Cluster"))
	const head = "apiVersion: notation.nirmata.io/v1alpha1\n"
	c.Apply(t, head+"kind: TrustStore\nmetadata: {name: store}\nspec: {trustStoreName: corp, type: ca, caBundle: none}\n",
		head+"kind: TrustPolicy\nmetadata: {name: named}\nspec: {version: '1.0', trustPolicyName: chosen, trustPolicies: "+
			"[{name: s, registryScopes: ['*'], signatureVerification: {level: strict}, trustStores: ['ca:corp'], trustedIdentities: ['*']}]}\n")
	_, seen := source(t, c.Config, nil)
	set := seen.await(t, "the store", is("store", false, policies.ReasonInvalidPolicy))
	if p := find(set, "store"); p != nil {
		t.Errorf("expected no policy of a store, got %+v", p)
	}
	p := find(set, "named")
	if p == nil || p.Invalid == nil || p.ByName != "chosen" {
		t.Errorf("expected an invalid policy for those who name it, got %+v", p)
	}
	if !strings.Contains(result(set, "named").Message, "corp") {
		t.Errorf("expected the message to name the store, got %q", result(set, "named").Message)
	}
}
