//go:build interop

package interop_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	admissionv1 "k8s.io/api/admission/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/engine"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// TestBesideKyverno measures admission: one ClusterPolicy, in force in both.
func TestBesideKyverno(t *testing.T) {
	kyverno := shared.Kyverno(t)
	namespace := shared.Cluster(t).Namespace(t, nil)
	images := &stock{store: slowRegistry(t), key: rig.NewKey(t)}
	policy := signedPolicy(namespace, images.store.Host(), images.key.PublicPEM)
	kyverno.Apply(t, policy)
	url, ca := kyvernoWebhook(t)
	b := shared.StartBonafide(t, rig.BonafideOptions{Policies: writeFile(t, "policy.yaml", []byte(policy)), Registry: images.store.Host()})
	timeout := "?timeout=" + besideTimeout.String()
	c := &comparison{store: images.store, pair: [2]contender{
		newContender(t, "Kyverno", url+timeout, ca),
		newContender(t, "bonafide", b.URL+"/admission/mutate"+timeout, b.CABundle),
	}}
	review := func(image fixture.Image) work {
		return work{bodies: [][]byte{podReview(t, namespace, image.Reference)}, right: pinned(image)}
	}
	burst := func(image fixture.Image) work {
		return work{bodies: slices.Repeat([][]byte{podReview(t, namespace, image.Reference)}, crowd), right: pinned(image)}
	}
	known := images.signed(t)
	for _, one := range c.pair {
		again(t, burst(known))(one) // opens the connections
	}

	c.measure(t, "new tag", *rounds, func(contender) work { return review(images.signed(t)) })
	c.measure(t, "same tag again", *rounds*warmRounds, again(t, review(known)))
	c.measure(t, "same digest again", *rounds*warmRounds, again(t, work{bodies: [][]byte{podReview(t, namespace, known.Pinned())}, right: admitted}))
	c.measure(t, "new tag, unsigned", *rounds, func(contender) work {
		image := images.unsigned(t)
		return work{bodies: [][]byte{podReview(t, namespace, image.Reference)}, right: refused(image)}
	})
	c.measure(t, fmt.Sprintf("new tag, %d at once", crowd), *rounds, func(contender) work { return burst(images.signed(t)) })
	c.print(
		fmt.Sprintf("Admission beside Kyverno %s: a review of a Pod with one image, at the mutating webhook over TLS; one ClusterPolicy, one cosign key.", versionOf(t, "kyverno", "github.com/kyverno/kyverno")),
		fmt.Sprintf("bonafide remembers a tag's digest for %s.", engine.DefaultTagTTL))
}

// kyvernoWebhook is where the API server asks Kyverno about policies that fail
// closed, and the issuer of its certificate.
func kyvernoWebhook(t *testing.T) (url string, ca []byte) {
	t.Helper()
	list, err := shared.Cluster(t).Client.AdmissionregistrationV1().MutatingWebhookConfigurations().List(t.Context(), metav1.ListOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, configuration := range list.Items {
		for _, webhook := range configuration.Webhooks {
			if webhook.Name == "mutate.kyverno.svc-fail" && webhook.ClientConfig.URL != nil {
				return *webhook.ClientConfig.URL, webhook.ClientConfig.CABundle
			}
		}
	}
	t.Fatal("want a mutating webhook of Kyverno's, got none")
	return "", nil
}

// podReview is what the API server asks when a Pod of an image is created.
func podReview(t *testing.T, namespace string, image imageref.Reference) []byte {
	t.Helper()
	review := admissionv1.AdmissionReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "admission.k8s.io/v1", Kind: "AdmissionReview"},
		Request: &admissionv1.AdmissionRequest{
			UID: "5d0d0b7c-0000-4000-8000-000000000001", Namespace: namespace, Name: "app", Operation: admissionv1.Create,
			Kind: metav1.GroupVersionKind{Version: "v1", Kind: "Pod"}, RequestKind: &metav1.GroupVersionKind{Version: "v1", Kind: "Pod"},
			Resource: metav1.GroupVersionResource{Version: "v1", Resource: "pods"}, RequestResource: &metav1.GroupVersionResource{Version: "v1", Resource: "pods"},
		},
	}
	review.Request.UserInfo.Username, review.Request.UserInfo.Groups = "alice", []string{"system:authenticated"}
	review.Request.Object.Raw = fmt.Appendf(nil,
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"app","namespace":%q,"labels":{"app":"app"}},"spec":{"containers":[{"name":"app","image":%q}],"serviceAccountName":"default"}}`,
		namespace, image)
	body, err := json.Marshal(review)
	if err != nil {
		t.Fatal(err)
	}
	return body
}

// pinned is right for an image that is admitted by its digest.
func pinned(image fixture.Image) func([]byte) error {
	return func(answer []byte) error {
		response, err := reviewed(answer)
		if err != nil {
			return err
		}
		if want := "@" + image.Digest.String(); !response.Allowed || !strings.Contains(string(response.Patch), want) {
			return fmt.Errorf("%s: want it allowed and a patch with %q, got %s", image.Reference, want, answer)
		}
		return nil
	}
}

// admitted is right for an image that needs no patch.
func admitted(answer []byte) error {
	response, err := reviewed(answer)
	if err != nil {
		return err
	}
	if !response.Allowed {
		return fmt.Errorf("want it allowed, got %s", answer)
	}
	return nil
}

// refused is right for an image that is refused because nobody signed it.
func refused(image fixture.Image) func([]byte) error {
	return func(answer []byte) error {
		response, err := reviewed(answer)
		if err != nil {
			return err
		}
		if response.Allowed || response.Result == nil {
			return fmt.Errorf("%s: want it refused, got %s", image.Reference, answer)
		}
		for _, words := range []string{image.Reference.String(), "no signature"} {
			if !strings.Contains(response.Result.Message, words) {
				return fmt.Errorf("%s: want it refused with %q, got %q", image.Reference, words, response.Result.Message)
			}
		}
		return nil
	}
}

func reviewed(answer []byte) (*admissionv1.AdmissionResponse, error) {
	var review admissionv1.AdmissionReview
	if err := json.Unmarshal(answer, &review); err != nil {
		return nil, fmt.Errorf("want an AdmissionReview, got %q: %w", answer, err)
	}
	if review.Response == nil {
		return nil, errors.New("want a response, got none")
	}
	return review.Response, nil
}
