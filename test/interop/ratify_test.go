//go:build interop

package interop_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// ratifyCosign is a configuration of Ratify that wants a simple signing by the
// key in cosign.pub.
const ratifyCosign = `{
  "store": {"version": "1.0.0", "plugins": [{"name": "oras", "cosignEnabled": true, "useHttp": true}]},
  "policy": {"version": "1.0.0", "plugin": {"name": "configPolicy", "artifactVerificationPolicies": {"default": "all"}}},
  "verifier": {"version": "1.0.0", "plugins": [{"name": "cosign", "artifactTypes": "application/vnd.dev.cosign.artifact.sig.v1+json", "key": "cosign.pub"}]}
}`

// ask posts a ProviderRequest of one key and returns the answer's item.
func ask(t *testing.T, url string, ca []byte, key string) item {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	defer transport.CloseIdleConnections()
	body, err := json.Marshal(map[string]any{
		"apiVersion": "externaldata.gatekeeper.sh/v1beta1", "kind": "ProviderRequest", "request": map[string]any{"keys": []string{key}},
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var answer struct {
		Response struct {
			Items       []item
			SystemError string
		}
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if len(answer.Response.Items) != 1 {
		t.Fatalf("want one item, got %+v", answer)
	}
	return answer.Response.Items[0]
}

// TestRatifyAnswers asks Ratify itself, whose answers ours are compared to.
func TestRatifyAnswers(t *testing.T) {
	store := newRegistry(t)
	key := rig.NewKey(t)
	signed, unsigned := rig.Push(t, store, "acme/app:signed", key), rig.Push(t, store, "acme/app:unsigned")
	ratify := rig.StartRatify(t, rig.RatifyOptions{Config: []byte(ratifyCosign), Files: map[string][]byte{"cosign.pub": key.PublicPEM}})
	for image, want := range map[string]bool{signed.Reference.String(): true, unsigned.Reference.String(): false} {
		answer := ask(t, ratify.URL+"/ratify/gatekeeper/v1/verify", ratify.CABundle, image)
		value, _ := answer.Value.(map[string]any)
		if answer.Key != image || value["isSuccess"] != want || value["version"] == "" {
			t.Errorf("%s: want isSuccess %t, got %+v", image, want, answer)
		}
	}
	pinned := ask(t, ratify.URL+"/ratify/gatekeeper/v1/mutate", ratify.CABundle, signed.Reference.String())
	if want := signed.Pinned().String(); pinned.Value != want {
		t.Errorf("mutate: want %q, got %+v", want, pinned)
	}
}

// ratifyConstraint applies Ratify's constraint template in one namespace.
func ratifyConstraint(namespace string) string {
	return fmt.Sprintf(`
apiVersion: constraints.gatekeeper.sh/v1beta1
kind: RatifyVerification
metadata: {name: ratify-constraint}
spec:
  enforcementAction: deny
  match: {kinds: [{apiGroups: [""], kinds: [Pod]}], namespaces: [%s]}
`, namespace)
}

// ratifyAssigns are the mutators of Ratify's chart, for one namespace: they pin
// the images of every kind of workload by what ratify-mutation-provider answers.
func ratifyAssigns(t *testing.T, namespace string) string {
	t.Helper()
	return strings.NewReplacer(
		"{{- if .Values.provider.enableMutation -}}", "", "{{- end }}", "",
		`{{ include "ratify.assignGKVersion" . }}`, "apiVersion: mutations.gatekeeper.sh/v1",
		"excludedNamespaces:\n      {{ include \"ratify.assignExcludedNamespaces\" . | nindent 6 }}", "namespaces: ["+namespace+"]",
	).Replace(string(rig.ModuleFile(t, "ratify", "charts/ratify/templates/assign.yaml")))
}

// TestGatekeeperAsksRatify is the whole that bonafide replaces: Gatekeeper with
// Ratify's own template, and Ratify, which checks Gatekeeper's certificate.
func TestGatekeeperAsksRatify(t *testing.T) {
	gatekeeper := shared.Gatekeeper(t)
	namespace := shared.Cluster(t).Namespace(t, nil)
	store := newRegistry(t)
	key := rig.NewKey(t)
	signed, unsigned := rig.Push(t, store, "acme/app:signed", key), rig.Push(t, store, "acme/app:unsigned")
	ratify := rig.StartRatify(t, rig.RatifyOptions{
		Config: []byte(ratifyCosign), Files: map[string][]byte{"cosign.pub": key.PublicPEM}, ClientCA: gatekeeper.ClientCA, Cache: true,
	})
	gatekeeper.Apply(t,
		providerYAML("ratify-provider", ratify.URL+"/ratify/gatekeeper/v1/verify", ratify.CABundle),
		providerYAML("ratify-mutation-provider", ratify.URL+"/ratify/gatekeeper/v1/mutate", ratify.CABundle),
		string(rig.ModuleFile(t, "ratify", "library/default/template.yaml")),
		ratifyConstraint(namespace), ratifyAssigns(t, namespace))

	got, err := createPod(t, namespace, signed.Reference.String())
	if err != nil {
		t.Fatal(err)
	}
	if want := signed.Pinned().String(); got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	_, err = createPod(t, namespace, unsigned.Reference.String())
	rig.WantRefused(t, err, "[ratify-constraint]", "failed to verify the artifact: "+unsigned.Pinned().String())
}
