//go:build interop

package interop_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// checkimagesPolicy calls a service as the users of Nirmata's extension do: the
// service's CA is read from a Secret of the cluster, the images and further
// data go along, and what comes back patches the Pod.
func checkimagesPolicy(name, namespace, url, data string) string {
	return fmt.Sprintf(`
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: %[1]s}
spec:
  failurePolicy: Fail
  webhookTimeoutSeconds: 30
  background: false
  rules:
  - name: call-extension
    match: {any: [{resources: {namespaces: [%[2]s], kinds: [Pod], operations: [CREATE, UPDATE]}}]}
    context:
    - name: tlscerts
      apiCall:
        urlPath: /api/v1/namespaces/%[2]s/secrets/extension-tls
        jmesPath: base64_decode( data."tls.crt" )
    - name: response
      apiCall:
        method: POST
        data:
        - {key: images, value: "{{images}}"}
%[4]s
        service: {url: %[3]q, caBundle: "{{tlscerts}}"}
    mutate:
      foreach:
      - list: response.results
        patchesJson6902: |-
          - {path: "{{element.path}}", op: "{{element.op}}", value: "{{element.value}}"}
`, name, namespace, url, indent(data, 8))
}

// extensionSecret holds the CA of a service where [checkimagesPolicy] reads it.
func extensionSecret(namespace string, ca []byte) string {
	return fmt.Sprintf("apiVersion: v1\nkind: Secret\nmetadata: {name: extension-tls, namespace: %s}\ndata: {tls.crt: %s}\n", namespace, base64.StdEncoding.EncodeToString(ca))
}

func indent(text string, by int) string {
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.Repeat(" ", by) + line)
	}
	return b.String()
}

func TestKyvernoCallsAService(t *testing.T) {
	kyverno := shared.Kyverno(t)
	namespace := shared.Cluster(t).Namespace(t, nil)
	const pinned = "registry.example/acme/app@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	service := startService(t, nil, func(body []byte) (int, any) {
		if strings.Contains(string(body), "unsigned") {
			return http.StatusNotAcceptable, "no signature is associated"
		}
		return http.StatusOK, map[string]any{
			"verified": true, "results": []map[string]string{{"op": "replace", "path": "/spec/containers/0/image", "value": pinned}},
		}
	})
	shared.Cluster(t).Apply(t, extensionSecret(namespace, service.CABundle))
	kyverno.Apply(t, checkimagesPolicy("check-"+namespace, namespace, service.URL+"/checkimages", `- {key: trustPolicy, value: "tp-{{request.namespace}}"}`))

	got, err := createPod(t, namespace, "registry.example/acme/app:v1")
	if err != nil {
		t.Fatal(err)
	}
	if got != pinned {
		t.Errorf("want %q, got %q", pinned, got)
	}
	calls := service.take()
	if len(calls) == 0 {
		t.Fatal("want the service called")
	}
	wantCheckimages(t, calls[0], "tp-"+namespace)
	_, err = createPod(t, namespace, "registry.example/acme/app:unsigned")
	rig.WantRefused(t, err, "mutate.kyverno.svc-fail", "HTTP 406 Not Acceptable", "no signature is associated")
}

// wantCheckimages checks what Kyverno sends: the images with their JSON
// pointers, and a token that names Kyverno's service account.
func wantCheckimages(t *testing.T, c call, trustPolicy string) {
	t.Helper()
	var request struct {
		Images struct {
			Containers map[string]struct{ JSONPointer, Registry, Path, Tag, Reference string }
		}
		TrustPolicy string
	}
	if err := json.Unmarshal(c.body, &request); err != nil {
		t.Fatal(err)
	}
	app := request.Images.Containers["app"]
	if app.JSONPointer != "/spec/containers/0/image" || app.Registry != "registry.example" || app.Path != "acme/app" || app.Tag != "v1" || app.Reference != "registry.example/acme/app:v1" {
		t.Errorf("want the container's image in its parts, got %s", c.body)
	}
	if request.TrustPolicy != trustPolicy {
		t.Errorf("want trust policy %q, got %q", trustPolicy, request.TrustPolicy)
	}
	token, found := strings.CutPrefix(c.header.Get("Authorization"), "Bearer ")
	if !found {
		t.Fatalf("want a token, got headers %v", c.header)
	}
	review, err := shared.Cluster(t).Client.AuthenticationV1().TokenReviews().Create(t.Context(), &authenticationv1.TokenReview{
		Spec: authenticationv1.TokenReviewSpec{Token: token, Audiences: []string{rig.KyvernoAudience}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if !review.Status.Authenticated || review.Status.User.Username != rig.KyvernoUser {
		t.Errorf("want a token of %s, got %+v", rig.KyvernoUser, review.Status)
	}
}

// signedPolicy is a ClusterPolicy that bonafide reads too; useCache is true by
// default.
func signedPolicy(namespace, host string, key []byte) string {
	return fmt.Sprintf(`apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: signed-%[1]s}
spec:
  webhookConfiguration: {timeoutSeconds: 30}
  background: false
  rules:
  - name: signed
    match: {any: [{resources: {namespaces: [%[1]s], kinds: [Pod]}}]}
    verifyImages:
    - imageReferences: ["%[2]s/*"]
      failureAction: Enforce
      attestors: [{entries: [{keys: {publicKeys: %[3]q, rekor: {ignoreTlog: true}, ctlog: {ignoreSCT: true}}}]}]
`, namespace, host, key)
}

func TestKyvernoVerifiesImages(t *testing.T) {
	kyverno := shared.Kyverno(t)
	namespace := shared.Cluster(t).Namespace(t, nil)
	store := newRegistry(t)
	key := rig.NewKey(t)
	signed, unsigned := rig.Push(t, store, "acme/app:signed", key), rig.Push(t, store, "acme/app:unsigned")
	kyverno.Apply(t, signedPolicy(namespace, store.Host(), key.PublicPEM))

	got, err := createPod(t, namespace, signed.Reference.String())
	if err != nil {
		t.Fatal(err)
	}
	if want := signed.Reference.String() + "@" + signed.Digest.String(); got != want {
		t.Errorf("want %q, got %q", want, got)
	}
	_, err = createPod(t, namespace, unsigned.Reference.String())
	rig.WantRefused(t, err, "mutate.kyverno.svc-fail", unsigned.Reference.String(), "no signatures found")
}
