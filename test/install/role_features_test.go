package install_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/bonafide-dev/bonafide/internal/rig"
)

// A subject is a running program of which it is asked what it can do.
type subject struct {
	*world
	*rig.Bonafide
	home     string // its home folder
	reviewed string // the token of one who may call /checkimages
	trust    *x509.CertPool
	client   *http.Client
	rotated  string // serial number before the rotation that was asked for
	edited   bool
}

// connect reads the authority of the program's certificate.
func (s *subject) connect() error {
	ca, err := os.ReadFile(s.CAFile)
	if err != nil {
		return err
	}
	s.trust = x509.NewCertPool()
	s.trust.AppendCertsFromPEM(ca)
	transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.trust, MinVersion: tls.VersionTLS13}, DisableKeepAlives: true}
	s.client = &http.Client{Transport: transport}
	return nil
}

// A feature is something that takes rights. Works is asked again until it
// returns nil, and may do a step at each time.
type feature struct {
	name, reason string
	works        func(context.Context) error
}

// features are all, in an order in which none disturbs the next.
func (s *subject) features() []feature {
	all := []feature{
		{"Leader", "one replica is elected", s.leads},
		{"Policies", "each kind says in its status that it is ready", s.policiesReady},
		{"Warm", "what runs is proven after a start", s.logged("proofs are warm")},
		{"LateKinds", "a kind is watched once it exists", s.logged(`"kind is watched","resource":"trustpolicies.notation.nirmata.io"`)},
		{"Webhooks", "what is edited or deleted by hand is put back", s.repairs},
		{"Providers", "Gatekeeper's Provider gets the authorities", s.injects},
		{"Certificate", "a certificate that is asked for is issued", s.rotates},
		{"CheckImages", "a caller is known by its token", s.answers},
		{"Strangers", "a caller with another token is refused", s.refusesStrangers},
	}
	all = append(all, s.decisions()...)
	return append(all,
		feature{"ReportsCreated", "the audit reports what runs", s.reports(1)},
		feature{"ReportsUpdated", "and what runs besides", s.reports(2)},
		feature{"ReportsDeleted", "and leaves no report where nothing runs", s.reports(0)},
		feature{"EventOfCertificate", "an Event in the system namespace", s.event(systemNamespace, "CertificateIssued")},
		feature{"EventOfRepair", "an Event about what has no namespace", s.event(metav1.NamespaceDefault, "WebhookRepaired")},
	)
}

func (s *subject) logged(part string) func(context.Context) error {
	return func(context.Context) error {
		text, err := s.Text()
		if err == nil && !strings.Contains(text, part) {
			err = fmt.Errorf("expected %q in the log, got none", part)
		}
		return err
	}
}

func (s *subject) leads(ctx context.Context) error {
	lease, err := s.Client.CoordinationV1().Leases(systemNamespace).Get(ctx, "bonafide", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if held := lease.Spec; held.HolderIdentity == nil || *held.HolderIdentity == "" || !held.RenewTime.After(held.AcquireTime.Time) {
		return fmt.Errorf("expected a Lease that is held and was renewed, got %v", held)
	}
	return nil
}

// policiesReady looks at the status of each policy, exception and deny list.
func (s *subject) policiesReady(ctx context.Context) error {
	for _, o := range []struct{ resource, namespace, name string }{
		{"clusterverificationpolicies", "", "role-cluster"}, {"verificationpolicies", tenant, "role-team"}, {"verificationpolicies", tenant, "role-team-secret"},
		{"verificationexceptions", "", "role-excused"}, {"imagedenylists", "", "role-stopped"},
	} {
		object, err := s.Dynamic.Resource(schema.GroupVersionResource{Group: "bonafide.dev", Version: "v1alpha1", Resource: o.resource}).
			Namespace(o.namespace).Get(ctx, o.name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, err := unstructured.NestedSlice(object.Object, "status", "conditions")
		if err != nil {
			return err
		}
		ready := false
		for _, entry := range conditions {
			c, _ := entry.(map[string]any)
			ready = ready || c["type"] == "Ready" && c["status"] == "True"
		}
		if !ready {
			return fmt.Errorf("%s: expected the condition Ready, got %v", o.resource, conditions)
		}
	}
	return nil
}

// repairs edits both configurations, and later deletes them, and waits until
// nothing is to be seen of it.
func (s *subject) repairs(ctx context.Context) error {
	api := s.Client.AdmissionregistrationV1()
	mutating, err := api.MutatingWebhookConfigurations().Get(ctx, "bonafide", metav1.GetOptions{})
	if err != nil {
		return err
	}
	validating, err := api.ValidatingWebhookConfigurations().Get(ctx, "bonafide", metav1.GetOptions{})
	if err != nil {
		return err
	}
	if *mutating.Webhooks[0].TimeoutSeconds == 3 || *validating.Webhooks[0].TimeoutSeconds == 3 {
		return errors.New("expected the timeout put back, got the edited one")
	}
	switch {
	case s.edited:
		return nil
	case mutating.Generation == 1:
		if err := s.uninject(ctx); err != nil {
			return err
		}
		edit := []byte(`[{"op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 3}]`)
		_, err = api.MutatingWebhookConfigurations().Patch(ctx, "bonafide", types.JSONPatchType, edit, metav1.PatchOptions{})
		if err == nil {
			_, err = api.ValidatingWebhookConfigurations().Patch(ctx, "bonafide", types.JSONPatchType, edit, metav1.PatchOptions{})
		}
	default:
		s.edited = true
		err = api.MutatingWebhookConfigurations().Delete(ctx, "bonafide", metav1.DeleteOptions{})
		if err == nil {
			err = api.ValidatingWebhookConfigurations().Delete(ctx, "bonafide", metav1.DeleteOptions{})
		}
	}
	return errors.Join(err, errors.New("expected the configurations put back, got them edited a moment ago"))
}

func providers() schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "externaldata.gatekeeper.sh", Version: "v1beta1", Resource: "providers"}
}

// uninject takes the authorities out of the Provider.
func (s *subject) uninject(ctx context.Context) error {
	_, err := s.Dynamic.Resource(providers()).Patch(ctx, "bonafide", types.MergePatchType, []byte(`{"spec": {"caBundle": ""}}`), metav1.PatchOptions{})
	return err
}

func (s *subject) injects(ctx context.Context) error {
	provider, err := s.Dynamic.Resource(providers()).Get(ctx, "bonafide", metav1.GetOptions{})
	if err != nil {
		return err
	}
	bundle, _, err := unstructured.NestedString(provider.Object, "spec", "caBundle")
	if err != nil {
		return err
	}
	text, err := base64.StdEncoding.DecodeString(bundle)
	if err != nil || !x509.NewCertPool().AppendCertsFromPEM(text) {
		return fmt.Errorf("expected authorities, got %q: %w", bundle, err)
	}
	return nil
}

// rotates asks for another certificate, and for the old one no more.
func (s *subject) rotates(ctx context.Context) error {
	serial, err := s.serial(ctx)
	if err != nil {
		return err
	}
	if s.rotated == "" {
		s.rotated = serial
		ask := []byte(`{"metadata": {"annotations": {"bonafide.dev/rotate": "leaf"}}}`)
		if _, err := s.Client.CoreV1().Secrets(systemNamespace).Patch(ctx, "bonafide-tls", types.MergePatchType, ask, metav1.PatchOptions{}); err != nil {
			return err
		}
	}
	if serial == s.rotated {
		return fmt.Errorf("expected another certificate than %s, got the same", serial)
	}
	return nil
}

// serial is of the certificate that is served now.
func (s *subject) serial(ctx context.Context) (string, error) {
	dialer := &tls.Dialer{Config: &tls.Config{RootCAs: s.trust, MinVersion: tls.VersionTLS13}}
	connection, err := dialer.DialContext(ctx, "tcp", strings.TrimPrefix(s.URL, "https://"))
	if err != nil {
		return "", err
	}
	defer func() { _ = connection.Close() }() // nothing was sent
	secured, _ := connection.(*tls.Conn)      // the dialer makes no other
	return secured.ConnectionState().PeerCertificates[0].SerialNumber.String(), nil
}

// answers asks /checkimages as Kyverno does.
func (s *subject) answers(ctx context.Context) error {
	status, text, err := s.check(ctx, s.reviewed)
	if err == nil && (status != http.StatusOK || !strings.Contains(text, "@sha256:")) {
		err = fmt.Errorf("expected 200 with a digest, got %d %s", status, text)
	}
	return err
}

func (s *subject) refusesStrangers(ctx context.Context) error {
	status, text, err := s.check(ctx, "of-a-stranger")
	if err == nil && (status != http.StatusNotAcceptable || !strings.Contains(text, "not authorized")) {
		err = fmt.Errorf("expected 406 and that the token is not authorized, got %d %s", status, text)
	}
	return err
}

func (s *subject) check(ctx context.Context, token string) (status int, text string, err error) {
	host, image := s.byOperator.Host(), s.byOperator.Host()+"/nirmata/signed:1"
	body, err := json.Marshal(map[string]any{"trustPolicy": "role", "images": map[string]any{"containers": map[string]any{"app": map[string]string{
		"registry": host, "name": "signed", "path": "nirmata/signed", "tag": "1", "reference": image, "referenceWithTag": image, "jsonPointer": "/spec/containers/0/image",
	}}}})
	if err != nil {
		return 0, "", err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL+"/checkimages", bytes.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("Authorization", "Bearer "+token)
	response, err := s.client.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// decisions are features that show in what becomes of a Pod.
func (s *subject) decisions() []feature {
	pod, account, operator := s.byPod.Host(), s.byAccount.Host(), s.byOperator.Host()
	var all []feature
	for _, c := range []struct{ name, reason, image, refused string }{
		{"KeyInSecret", "the key is in a Secret, the pull secret in the Pod", pod + "/cluster/signed:1", ""},
		{"KeyInSecretRefuses", "another's image", pod + "/cluster/unsigned:1", "role-cluster"},
		{"KeyInConfigMap", "the key is in a ConfigMap and in a Secret of the namespace", pod + "/team/signed:1", ""},
		{"KeyInConfigMapRefuses", "another's image", pod + "/team/unsigned:1", "role-team"},
		{"Kyverno", "by a ClusterPolicy of Kyverno's", pod + "/kyverno/signed:1", ""},
		{"KyvernoRefuses", "another's image", pod + "/kyverno/unsigned:1", "role-kyverno"},
		{"KyvernoTeam", "by a Policy of Kyverno's", pod + "/kyvernoteam/signed:1", ""},
		{"KyvernoTeamRefuses", "another's image", pod + "/kyvernoteam/unsigned:1", "role-kyverno"},
		{"PullSecretOfAccount", "the ServiceAccount has the pull secret", account + "/cluster/signed:1", ""},
		{"PullSecretOfOperator", "the operator has the pull secret", operator + "/cluster/signed:1", ""},
		{"Exception", "an exception lifts the policy", pod + "/cluster/excused@" + s.excused.Digest.String(), ""},
		{"DenyList", "a deny list beats everything", pod + "/cluster/stopped@" + s.stopped.Digest.String(), "they mine coins"},
	} {
		all = append(all, feature{c.name, c.reason, func(ctx context.Context) error {
			_, err := s.Client.CoreV1().Pods(tenant).Create(ctx, s.pod(c.image), metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
			switch {
			case c.refused == "":
				return err
			case err == nil:
				return fmt.Errorf("expected %s refused, got it admitted", c.image)
			case !strings.Contains(err.Error(), c.refused):
				return fmt.Errorf("expected %q in the refusal, got: %w", c.refused, err)
			}
			return nil
		}})
	}
	return all
}

// pod names the pull secret of its registry, or leaves that to its
// ServiceAccount, which counts where a Pod names none, or to the operator.
func (s *subject) pod(image string) *corev1.Pod {
	pod := rig.NewPod(image)
	switch host, _, _ := strings.Cut(image, "/"); host {
	case s.byPod.Host():
		pod.Spec.ImagePullSecrets = []corev1.LocalObjectReference{{Name: "pod"}}
	case s.byAccount.Host():
		pod.Spec.ServiceAccountName = "runner"
	}
	return pod
}

// reportKinds are where the audit writes.
func reportKinds() []schema.GroupVersionResource {
	return []schema.GroupVersionResource{
		{Group: "wgpolicyk8s.io", Version: "v1alpha2", Resource: "policyreports"}, {Group: "openreports.io", Version: "v1alpha1", Resource: "reports"},
	}
}

// reports makes the Pods of the tenant that many, and waits until both reports
// of the namespace say so.
func (s *subject) reports(pods int) func(context.Context) error {
	images := []string{s.byPod.Host() + "/cluster/signed:1", s.byPod.Host() + "/kyverno/signed:1"}[:pods]
	ran := false
	return func(ctx context.Context) error {
		if !ran {
			if err := s.run(ctx, images); err != nil {
				return err
			}
			ran = true
		}
		for _, r := range reportKinds() {
			report, err := s.Dynamic.Resource(r).Namespace(tenant).Get(ctx, "bonafide", metav1.GetOptions{})
			if pods == 0 && apierrors.IsNotFound(err) {
				continue
			}
			if err != nil {
				return err
			}
			results, _, err := unstructured.NestedSlice(report.Object, "results")
			if err != nil {
				return err
			}
			if len(results) != pods {
				return fmt.Errorf("%s: expected %d results, got %d", r.Resource, pods, len(results))
			}
		}
		return nil
	}
}

// run has Pods of exactly these images run.
func (s *subject) run(ctx context.Context, images []string) error {
	now := int64(0)
	pods := s.Client.CoreV1().Pods(tenant)
	if err := pods.DeleteCollection(ctx, metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}); err != nil {
		return err
	}
	for _, image := range images {
		if _, err := pods.Create(ctx, s.pod(image), metav1.CreateOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (s *subject) event(namespace, reason string) func(context.Context) error {
	return func(ctx context.Context) error {
		list, err := s.Client.CoreV1().Events(namespace).List(ctx, metav1.ListOptions{})
		if err != nil {
			return err
		}
		var reasons []string
		for _, e := range list.Items {
			if e.Source.Component == "bonafide" {
				reasons = append(reasons, e.Reason)
			}
			if e.Source.Component == "bonafide" && e.Reason == reason {
				return nil
			}
		}
		return fmt.Errorf("expected an Event %s, got %q", reason, reasons)
	}
}
