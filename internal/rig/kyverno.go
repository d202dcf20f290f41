package rig

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

const (
	kyvernoNamespace = "kyverno"
	kyvernoAccount   = "kyverno-admission-controller"
	// KyvernoAudience is the audience of the token that Kyverno shows to the
	// services that its policies call, as its chart configures it.
	KyvernoAudience = "kyverno-svc.kyverno.io"
	// KyvernoUser is whom that token authenticates.
	KyvernoUser = "system:serviceaccount:" + kyvernoNamespace + ":" + kyvernoAccount
)

// KyvernoOptions say how a Kyverno runs. The zero value is ready for use.
type KyvernoOptions struct {
	// Blocklist are the networks that policies may not call. Kyverno's own list
	// holds loopback, where everything of a test is; the rig's holds nothing
	// that a test needs.
	Blocklist []string
}

// A Kyverno is a running Kyverno admission controller. It registers its
// webhooks by itself, for what its policies match, and reaches registries on
// loopback over plain HTTP. Neither the background nor the reports controller
// runs, and it asks no server for Sigstore's roots of trust.
type Kyverno struct {
	cluster *Cluster
	folder  string
	process *process
}

// StartKyverno runs Kyverno for the cluster and stops it, and takes its
// webhooks out of force, when tb ends. A cluster can have one at a time.
func StartKyverno(tb testing.TB, cluster *Cluster, o KyvernoOptions) *Kyverno {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	k, err := launchKyverno(ctx, cluster, o)
	if err != nil {
		tb.Fatalf("start Kyverno: %v", err)
	}
	tb.Cleanup(func() {
		if err := k.stop(ctx); err != nil {
			tb.Errorf("stop Kyverno: %v", err)
		}
		if tb.Failed() {
			tb.Log(k.process.tail())
		}
	})
	return k
}

func launchKyverno(ctx context.Context, cluster *Cluster, o KyvernoOptions) (*Kyverno, error) {
	executable, err := Binary(ctx, "kyverno")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(cluster.folder, "kyverno-")
	if err != nil {
		return nil, err
	}
	k := &Kyverno{cluster: cluster, folder: folder}
	if err := k.install(ctx); err != nil {
		return nil, err
	}
	if err := onFreePort(ctx, func(port int) error { return k.run(ctx, executable, o, port) }); err != nil {
		return nil, err
	}
	return k, nil
}

// install puts into the cluster what Kyverno's chart would, and makes the token
// that a kubelet would mount.
func (k *Kyverno) install(ctx context.Context) error {
	definitions, err := moduleManifests(ctx, "kyverno", "config/crds")
	if err != nil {
		return err
	}
	if err := k.cluster.applyDefinitions(ctx, definitions); err != nil {
		return err
	}
	_, err = k.cluster.apply(ctx, []byte(`
apiVersion: v1
kind: Namespace
metadata: {name: kyverno}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kyverno, namespace: kyverno}
data:
  webhooks: '{"namespaceSelector":{"matchExpressions":[{"key":"kubernetes.io/metadata.name","operator":"NotIn","values":["kube-system","kyverno"]}]}}'
  resourceFilters: '[Event,*,*][*/*,kube-system,*][*/*,kyverno,*]'
---
apiVersion: v1
kind: ConfigMap
metadata: {name: kyverno-metrics, namespace: kyverno}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kyverno-admission-controller, namespace: kyverno}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kyverno-background-controller, namespace: kyverno}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kyverno-reports-controller, namespace: kyverno}
`))
	if err != nil {
		return err
	}
	token, err := k.cluster.token(ctx, kyvernoNamespace, kyvernoAccount, KyvernoAudience)
	if err != nil {
		return err
	}
	return os.WriteFile(k.token(), []byte(token), 0o600)
}

// token is where Kyverno finds what it shows to the services that it calls.
func (k *Kyverno) token() string { return filepath.Join(k.folder, "token") }

func (k *Kyverno) run(ctx context.Context, executable string, o KyvernoOptions, port int) error {
	metrics, err := freePort(ctx)
	if err != nil {
		return err
	}
	c := command{folder: k.folder, executable: executable, args: k.arguments(o, port, metrics), env: []string{
		"INIT_CONFIG=kyverno", "METRICS_CONFIG=kyverno-metrics", "KYVERNO_NAMESPACE=" + kyvernoNamespace, "KYVERNO_SVC=kyverno-svc",
		"KYVERNO_DEPLOYMENT=kyverno-admission-controller", "KYVERNO_POD_NAME=kyverno-rig", "KYVERNO_SERVICEACCOUNT_NAME=" + kyvernoAccount,
		"KYVERNO_SCOPED_TOKEN_PATH=" + k.token(), "HOME=" + k.folder, // no registry credentials of the user's
	}}
	if k.process, err = c.start(ctx); err != nil {
		return err
	}
	err = k.process.ready(ctx, func(ctx context.Context) error {
		return errors.Join(k.healthy(ctx, "https://"+addressOf(port)+"/health/readiness"), k.registered(ctx))
	})
	if err != nil {
		k.process.stop()
	}
	return err
}

func (k *Kyverno) arguments(o KyvernoOptions, port, metrics int) []string {
	blocked := o.Blocklist
	if len(blocked) == 0 {
		blocked = []string{"169.254.169.254/32"}
	}
	const account = "system:serviceaccount:" + kyvernoNamespace + ":kyverno-"
	return []string{
		"--kubeconfig=" + k.cluster.Kubeconfig,
		"--serverIP=" + addressOf(port), "--webhookServerHost=" + loopback, "--webhookServerPort=" + strconv.Itoa(port),
		"--caSecretName=kyverno-ca", "--tlsSecretName=kyverno-tls", "--tlsKeyAlgorithm=ECDSA",
		"--backgroundServiceAccountName=" + account + "background-controller", "--reportsServiceAccountName=" + account + "reports-controller",
		"--enableTuf=false", "--allowInsecureRegistry=true", "--httpBlocklist=" + strings.Join(blocked, ","),
		"--disableMetrics", "--controllerRuntimeMetricsAddress=0",
		"--metricsHost=" + loopback, "--metricsPort=" + strconv.Itoa(metrics), // it listens there all the same
		"--admissionReports=false", "--omitEvents=PolicyViolation,PolicyApplied,PolicyError,PolicySkipped",
		"--generateValidatingAdmissionPolicy=false", "--clientRateLimitQPS=300", "--clientRateLimitBurst=300",
		"--disableLogColor", "--v=1",
	}
}

// healthy asks Kyverno itself. Its certificate is not looked at: it is made
// anew at each start, and nothing is decided by the answer.
func (k *Kyverno) healthy(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	transport := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}} // #nosec G402 -- a probe on loopback
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: expected status 200, got %d", url, response.StatusCode)
	}
	return nil
}

// registered asks whether Kyverno looks at new policies: a wrong one is refused.
func (k *Kyverno) registered(ctx context.Context) error {
	objects, err := decode([][]byte{[]byte(`
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: wrong}
spec:
  rules:
  - &twice {name: twice, match: {any: [{resources: {kinds: [Pod]}}]}, validate: {failureAction: Audit, message: none, deny: {}}}
  - *twice
`)})
	if err != nil {
		return err
	}
	resource, err := k.cluster.resource(objects[0])
	if err != nil {
		return err
	}
	_, err = resource.Create(ctx, objects[0], metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	if err == nil {
		return errors.New("expected a wrong policy refused, got it admitted")
	}
	if !strings.Contains(err.Error(), "validate-policy.kyverno.svc") {
		return err
	}
	return nil
}

func (k *Kyverno) stop(ctx context.Context) error {
	k.process.stop() // first: it would register them again
	hooks := k.cluster.Client.AdmissionregistrationV1()
	ours := metav1.ListOptions{LabelSelector: "webhook.kyverno.io/managed-by=kyverno"}
	return errors.Join(
		hooks.ValidatingWebhookConfigurations().DeleteCollection(ctx, metav1.DeleteOptions{}, ours),
		hooks.MutatingWebhookConfigurations().DeleteCollection(ctx, metav1.DeleteOptions{}, ours),
	)
}

// Apply applies policies of Kyverno and waits until the API server asks Kyverno
// about what they match. When tb ends they are deleted.
func (k *Kyverno) Apply(tb testing.TB, documents ...string) {
	tb.Helper()
	for _, object := range k.cluster.Apply(tb, documents...) {
		if object.GetKind() == "ClusterPolicy" || object.GetKind() == "Policy" {
			k.cluster.Await(tb, object, conditionHolds("Ready"))
		}
	}
	k.settle(tb)
}

// settle waits until the webhooks hold all policies so far. Kyverno writes all
// of them into one configuration for each kind of webhook, so that once a
// policy of the rig's own is in force, those before it are too.
func (k *Kyverno) settle(tb testing.TB) {
	tb.Helper()
	mark := "m" + strings.ToLower(rand.Text()[:10])
	k.cluster.Apply(tb, fmt.Sprintf(`
apiVersion: kyverno.io/v1
kind: ClusterPolicy
metadata: {name: %[1]s}
spec:
  background: false
  rules:
  - name: mutate
    match: {any: [{resources: {kinds: [ConfigMap], selector: {matchLabels: {%[2]s: %[1]s-mutate}}}}]}
    mutate: {patchStrategicMerge: {metadata: {annotations: {%[2]s: seen}}}}
  - name: validate
    match: {any: [{resources: {kinds: [ConfigMap], selector: {matchLabels: {%[2]s: %[1]s-validate}}}}]}
    validate: {failureAction: Enforce, message: seen, deny: {}}
`, mark, markerLabel))
	ctx, cancel := context.WithTimeout(tb.Context(), takeUpTimeout)
	defer cancel()
	if err := Poll(ctx, func(ctx context.Context) error { return k.seen(ctx, mark) }); err != nil {
		tb.Fatalf("wait for Kyverno's webhooks: %v", err)
	}
}

// seen returns nil if both rules of the policy act.
func (k *Kyverno) seen(ctx context.Context, mark string) error {
	create := func(label string) (*corev1.ConfigMap, error) {
		return k.cluster.Client.CoreV1().ConfigMaps(metav1.NamespaceDefault).Create(ctx, &corev1.ConfigMap{
			ObjectMeta: metav1.ObjectMeta{Name: mark, Labels: map[string]string{markerLabel: label}},
		}, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	}
	mutated, err := create(mark + "-mutate")
	if err != nil {
		return err
	}
	if mutated.Annotations[markerLabel] == "" {
		return fmt.Errorf("expected a mutation by policy %s, got none", mark)
	}
	_, err = create(mark + "-validate")
	if err == nil {
		return fmt.Errorf("expected a refusal by policy %s, got none", mark)
	}
	if !strings.Contains(err.Error(), mark+":") { // the policy's name heads what its rules say
		return fmt.Errorf("expected a refusal by policy %s: %w", mark, err)
	}
	return nil
}
