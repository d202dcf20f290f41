package cluster_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// maxAnswer bounds an AdmissionReview that is answered.
const maxAnswer = 1 << 20

// review asks a replica's door as the API server does, about a Pod of a namespace.
func review(t *testing.T, replica *rig.Bonafide, door, namespace, image string) *admissionv1.AdmissionResponse {
	t.Helper()
	pod := rig.NewPod(image)
	pod.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Pod"}
	pod.Namespace, pod.Name = namespace, "asked"
	object, err := json.Marshal(pod)
	if err != nil {
		t.Fatal(err)
	}
	body, err := json.Marshal(&admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: admissionv1.SchemeGroupVersion.String(), Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "asked", Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
			Namespace: namespace, Name: pod.Name, Operation: admissionv1.Create, Object: runtime.RawExtension{Raw: object},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, replica.URL+"/admission/"+door+"?timeout=10s", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(replica.CABundle)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	answered, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answered.Body.Close()
	var answer admissionv1.AdmissionReview
	raw, err := io.ReadAll(io.LimitReader(answered.Body, maxAnswer))
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	if err != nil || answer.Response == nil {
		t.Fatalf("want an AdmissionReview, got %s %q: %v", answered.Status, raw, err)
	}
	return answer.Response
}

// TestR16NamespaceNobodyKnows asks about Pods of a namespace that the API server
// does not have: a policy that selects namespaces by their labels may apply
// there, so they are refused until the namespace is known.
func TestR16NamespaceNobodyKnows(t *testing.T) {
	t.Parallel()
	i, key := install(t, 2), rig.NewKey(t)
	signed := rig.Push(t, i.registry, "acme/app:signed", key)
	image := i.registry.Host() + "/acme/app@" + signed.Digest.String()
	unsigned := i.registry.Host() + "/acme/app@" + rig.Push(t, i.registry, "acme/app:unsigned").Digest.String()
	i.secret(t, "release", key)
	i.ready(t, i.Apply(t, strings.Replace(i.policy("teams", "release"), "spec:\n", "spec:\n  match: {namespaceSelector: {matchLabels: {team: a}}}\n", 1))[0])
	guarded := i.Namespace(t, map[string]string{"team": "a"})
	i.each(t, func() { i.becomesIn(t, guarded, unsigned, "teams") })

	for _, replica := range i.replicas {
		for _, door := range []string{"mutate", "validate"} {
			for _, asked := range []string{image, unsigned} {
				answer := review(t, replica, door, "tomorrow", asked)
				if answer.Allowed {
					t.Errorf("%s: want a Pod of an unknown namespace refused, got it allowed", door)
					continue
				}
				for _, part := range []string{"teams", "expected to know whether the policy applies", "namespace", "could not be decided"} {
					if !strings.Contains(answer.Result.Message, part) {
						t.Errorf("%s: want %q in the message, got %q", door, part, answer.Result.Message)
					}
				}
			}
		}
	}
	for name, labels := range map[string]map[string]string{"tomorrow": {"team": "b"}, "later": {"team": "a"}} {
		_, err := i.Client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels}}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, replica := range i.replicas { // at once: the request waits for the namespace
		for _, door := range []string{"mutate", "validate"} {
			if answer := review(t, replica, door, "tomorrow", unsigned); !answer.Allowed {
				t.Errorf("%s: want the Pod of a namespace without the label allowed, got %v", door, answer.Result)
			}
			if answer := review(t, replica, door, "later", image); !answer.Allowed {
				t.Errorf("%s: want the signed image allowed, got %v", door, answer.Result)
			}
			answer := review(t, replica, door, "later", unsigned)
			if answer.Allowed || !strings.Contains(answer.Result.Message, "no signature") {
				t.Errorf("%s: want the image refused for its signature, got %v", door, answer)
			}
		}
	}
}
