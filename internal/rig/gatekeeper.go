package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

const (
	gatekeeperNamespace = "gatekeeper-system"
	gatekeeperPod       = "gatekeeper-rig"
	// defaultWebhookTimeout is what the rig's webhooks get: enough for a loaded
	// machine. Gatekeeper's chart has 3 s and 1 s.
	defaultWebhookTimeout = 10 * time.Second
)

// GatekeeperOptions say how a Gatekeeper runs. The zero value is ready for use.
type GatekeeperOptions struct {
	// ResponseCache is how long Gatekeeper keeps a provider's answers for
	// validation; 0 is not at all. Its own default is three minutes.
	ResponseCache time.Duration
	// WebhookTimeout is what the API server gives Gatekeeper, in whole seconds;
	// 0 is ten seconds.
	WebhookTimeout time.Duration
	// FailOpen registers the webhooks with failurePolicy Ignore, as Gatekeeper's
	// chart does. Otherwise a request that Gatekeeper does not answer is refused.
	FailOpen bool
}

// A Gatekeeper is a running OPA Gatekeeper whose webhooks are in force in every
// namespace but its own. It audits nothing. It shows its serving certificate to
// external data providers, as it does in a cluster.
type Gatekeeper struct {
	ClientCA []byte // PEM: issuer of the certificate that Gatekeeper shows to providers

	cluster *Cluster
	folder  string
	process *process
}

// StartGatekeeper runs Gatekeeper for the cluster and stops it, and takes its
// webhooks out of force, when tb ends. A cluster can have one at a time.
func StartGatekeeper(tb testing.TB, cluster *Cluster, o GatekeeperOptions) *Gatekeeper {
	tb.Helper()
	ctx := context.WithoutCancel(tb.Context())
	g, err := launchGatekeeper(ctx, cluster, o)
	if err != nil {
		tb.Fatalf("start Gatekeeper: %v", err)
	}
	tb.Cleanup(func() {
		if err := g.stop(ctx); err != nil {
			tb.Errorf("stop Gatekeeper: %v", err)
		}
		if tb.Failed() {
			tb.Log(g.process.tail())
		}
	})
	return g
}

func launchGatekeeper(ctx context.Context, cluster *Cluster, o GatekeeperOptions) (*Gatekeeper, error) {
	executable, err := Binary(ctx, "gatekeeper")
	if err != nil {
		return nil, err
	}
	folder, err := os.MkdirTemp(cluster.folder, "gatekeeper-")
	if err != nil {
		return nil, err
	}
	g := &Gatekeeper{cluster: cluster, folder: folder}
	ca, err := newAuthority("gatekeeper-ca")
	if err != nil {
		return nil, err
	}
	g.ClientCA = ca.pem
	if err := errors.Join(ca.issueInto(folder), g.install(ctx)); err != nil {
		return nil, err
	}
	var port int
	err = onFreePort(ctx, func(free int) error {
		port = free
		return g.run(ctx, executable, o, port)
	})
	if err != nil {
		return nil, err
	}
	if err := cluster.register(ctx, g.webhooks(port, o)); err != nil {
		g.process.stop()
		return nil, err
	}
	return g, nil
}

// install puts into the cluster what Gatekeeper's chart would: it asks for a
// Pod that it is, to own the status objects that it writes.
func (g *Gatekeeper) install(ctx context.Context) error {
	definitions, err := moduleManifests(ctx, "gatekeeper", "charts/gatekeeper/crds")
	if err != nil {
		return err
	}
	if err := g.cluster.applyDefinitions(ctx, definitions); err != nil {
		return err
	}
	_, err = g.cluster.apply(ctx, fmt.Appendf(nil, `
apiVersion: v1
kind: Namespace
metadata: {name: %[1]s, labels: {admission.gatekeeper.sh/ignore: no-self-managing}}
---
apiVersion: v1
kind: Pod
metadata: {name: %[2]s, namespace: %[1]s}
spec: {containers: [{name: manager, image: gatekeeper}]}
`, gatekeeperNamespace, gatekeeperPod))
	return err
}

func (g *Gatekeeper) run(ctx context.Context, executable string, o GatekeeperOptions, port int) error {
	health, err := freePort(ctx)
	if err != nil {
		return err
	}
	metrics, err := freePort(ctx)
	if err != nil {
		return err
	}
	address := addressOf(health)
	c := command{
		folder: g.folder, executable: executable,
		env: []string{"POD_NAME=" + gatekeeperPod, "POD_NAMESPACE=" + gatekeeperNamespace, "NAMESPACE=" + gatekeeperNamespace, "CONTAINER_NAME=manager"},
		args: []string{
			"--kubeconfig=" + g.cluster.Kubeconfig,
			"--disable-cert-rotation", "--cert-dir=" + g.folder,
			"--host=" + loopback, "--port=" + strconv.Itoa(port),
			"--health-addr=" + address, "--prometheus-port=" + strconv.Itoa(metrics),
			"--operation=webhook", "--operation=mutation-webhook", "--operation=status", "--operation=mutation-status", "--operation=generate",
			"--enable-external-data", "--external-data-provider-response-cache-ttl=" + o.ResponseCache.String(),
			"--exempt-namespace=" + gatekeeperNamespace,
			"--log-denies", "--log-level=INFO", "--shutdown-delay=0",
		},
	}
	if g.process, err = c.start(ctx); err != nil {
		return err
	}
	err = g.process.ready(ctx, func(ctx context.Context) error { return answersOK(ctx, "http://"+address+"/readyz") })
	if err != nil {
		g.process.stop()
	}
	return err
}

// webhooks are those of Gatekeeper's chart, by URL.
func (g *Gatekeeper) webhooks(port int, o GatekeeperOptions) []webhook {
	timeout := o.WebhookTimeout
	if timeout == 0 {
		timeout = defaultWebhookTimeout
	}
	policy := "Fail"
	if o.FailOpen {
		policy = "Ignore"
	}
	entry := func(kind, name, path string) webhook {
		return webhook{
			kind: kind, configuration: "gatekeeper-" + name, name: name + ".gatekeeper.sh",
			url: "https://" + addressOf(port) + path, ca: g.ClientCA,
			ignore: "admission.gatekeeper.sh/ignore", failurePolicy: policy, timeout: timeout,
		}
	}
	return []webhook{
		entry("ValidatingWebhookConfiguration", "validation", "/v1/admit"),
		entry("MutatingWebhookConfiguration", "mutation", "/v1/mutate"),
	}
}

// stop takes the webhooks out of force first, since nobody would answer them.
func (g *Gatekeeper) stop(ctx context.Context) error {
	err := g.cluster.unregister(ctx, g.webhooks(0, GatekeeperOptions{}))
	g.process.stop()
	return err
}

// Apply applies objects of Gatekeeper, such as constraint templates,
// constraints, providers and mutators, and waits after each until Gatekeeper
// acts on it. When tb ends they are deleted.
func (g *Gatekeeper) Apply(tb testing.TB, documents ...string) {
	tb.Helper()
	for _, document := range documents {
		for _, object := range g.cluster.Apply(tb, document) {
			g.cluster.Await(tb, object, takenUp)
		}
	}
}

// takenUp says whether Gatekeeper acts on an object: it writes so into the
// object's status, once for each of its Pods.
func takenUp(object *unstructured.Unstructured) error {
	pods, _, err := unstructured.NestedSlice(object.Object, "status", "byPod")
	if err != nil {
		return err
	}
	for _, entry := range pods {
		pod, _ := entry.(map[string]any)
		if faults, _ := pod["errors"].([]any); len(faults) > 0 {
			return fmt.Errorf("expected no errors, got %v", faults)
		}
		if generation, _ := pod["observedGeneration"].(int64); generation < object.GetGeneration() {
			return fmt.Errorf("expected generation %d, got %d", object.GetGeneration(), generation)
		}
		for _, field := range []string{"enforced", "active"} { // of constraints and mutators, of providers
			if value, set := pod[field]; set && value != true {
				return fmt.Errorf("expected %s, got %v", field, pod)
			}
		}
	}
	if len(pods) == 0 {
		return errors.New("expected a status of Gatekeeper's Pod, got none")
	}
	return nil
}
