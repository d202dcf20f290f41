package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
)

// A Cluster is a running etcd and API server. Its fields are not to be changed;
// copies of Config may be. It is safe for concurrent use.
type Cluster struct {
	Config      *rest.Config         // the administrator's, without client-side rate limits
	Client      kubernetes.Interface // with Config
	Dynamic     dynamic.Interface    // with Config, for kinds that Client does not know; it drops warnings
	Kubeconfig  string               // path of a kubeconfig file for Config
	AdmissionCA []byte               // PEM: issuer of the client certificate that the API server shows to webhooks

	options         ClusterOptions
	folder          string
	files           files
	port            int // of the API server
	users           []user
	kinds           *restmapper.DeferredDiscoveryRESTMapper
	etcd, apiserver *process
}

// ClusterOptions say how a cluster differs from others. The zero value is how
// all are.
type ClusterOptions struct {
	// StaticMutating and StaticValidating are webhook configurations that the API
	// server reads from files at its start, as manifest-based admission control
	// has it; empty: none.
	StaticMutating, StaticValidating []byte
}

// Start runs a cluster for the test tb alone and stops it when tb ends. It
// takes some ten seconds; most tests want [Shared].
func Start(tb testing.TB) *Cluster {
	tb.Helper()
	return StartWith(tb, ClusterOptions{})
}

// StartWith is [Start] with options.
func StartWith(tb testing.TB, o ClusterOptions) *Cluster {
	tb.Helper()
	c, err := launch(context.WithoutCancel(tb.Context()), o)
	if err != nil {
		tb.Fatalf("start a cluster: %v", err)
	}
	tb.Cleanup(func() {
		c.stop()
		if tb.Failed() {
			tb.Logf("%s\n%s", c.apiserver.tail(), c.etcd.tail())
		}
		if err := c.remove(); err != nil {
			tb.Errorf("remove the cluster's files: %v", err)
		}
	})
	return c
}

// launch starts both processes and waits until the API server is ready. The
// caller stops and removes the cluster.
func launch(ctx context.Context, o ClusterOptions) (*Cluster, error) {
	// Not tb.TempDir, whose name grows with the test's: the path of a Unix
	// socket has some 100 bytes.
	folder, err := os.MkdirTemp("", "rig-")
	if err != nil {
		return nil, err
	}
	c := &Cluster{options: o, folder: folder}
	if err := c.run(ctx); err != nil {
		c.stop()
		return nil, errors.Join(err, c.remove())
	}
	return c, nil
}

func (c *Cluster) run(ctx context.Context) error {
	for _, name := range []string{"etcd", "kube-apiserver"} {
		if _, err := Binary(ctx, name); err != nil {
			return err
		}
	}
	if err := c.startEtcd(ctx); err != nil {
		return err
	}
	files, err := c.writeFiles()
	if err != nil {
		return err
	}
	c.files = files
	return onFreePort(ctx, func(port int) error {
		c.port = port
		return c.startAPIServer(ctx, files, port)
	})
}

// RestartAPIServer kills the API server and starts it again, at the same
// address, over the same store: every watch ends, and for some seconds nobody
// answers. It is for clusters of [Start], which no other test uses.
func (c *Cluster) RestartAPIServer(tb testing.TB) {
	tb.Helper()
	c.apiserver.stop()
	if err := c.startAPIServer(context.WithoutCancel(tb.Context()), c.files, c.port); err != nil {
		tb.Fatalf("start the API server again: %v", err)
	}
}

// KubeconfigFor writes a kubeconfig file for a configuration, such as that of
// [Cluster.ServiceAccountConfig], and returns its path.
func (c *Cluster) KubeconfigFor(tb testing.TB, config *rest.Config) string {
	tb.Helper()
	file := filepath.Join(tb.TempDir(), "kubeconfig")
	if err := writeKubeconfigFile(file, config); err != nil {
		tb.Fatal(err)
	}
	return file
}

func (c *Cluster) stop() {
	for _, p := range []*process{c.apiserver, c.etcd} {
		if p != nil {
			p.stop()
		}
	}
}

func (c *Cluster) remove() error { return os.RemoveAll(c.folder) }

// socket is where etcd listens: a file that only this user can open.
func (c *Cluster) socket() string { return "unix://" + filepath.Join(c.folder, "etcd.sock") }

// Namespace creates a namespace with a new name and the given labels, and
// returns the name. It is never deleted: no controller would finish it.
func (c *Cluster) Namespace(tb testing.TB, labels map[string]string) string {
	tb.Helper()
	created, err := c.Client.CoreV1().Namespaces().Create(tb.Context(), &corev1.Namespace{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "rig-", Labels: labels},
	}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatalf("create a namespace: %v", err)
	}
	return created.Name
}

// ConfigFor returns the configuration of one of the cluster's ordinary users:
// "alice" and "bob", of the groups "team-a" and "team-b". RBAC grants them
// nothing until a test does.
func (c *Cluster) ConfigFor(tb testing.TB, name string) *rest.Config {
	tb.Helper()
	for _, u := range c.users {
		if u.name == name {
			return c.withToken(u.token)
		}
	}
	tb.Fatalf("expected a user of the cluster, got %q", name)
	return nil
}

// ServiceAccountConfig creates a ServiceAccount and returns a configuration
// with a token that the API server issued for it.
func (c *Cluster) ServiceAccountConfig(tb testing.TB, namespace, name string) *rest.Config {
	tb.Helper()
	accounts := c.Client.CoreV1().ServiceAccounts(namespace)
	_, err := accounts.Create(tb.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatalf("create ServiceAccount %s/%s: %v", namespace, name, err)
	}
	token, err := c.token(tb.Context(), namespace, name)
	if err != nil {
		tb.Fatal(err)
	}
	return c.withToken(token)
}

func (c *Cluster) withToken(token string) *rest.Config {
	config := rest.AnonymousClientConfig(c.Config)
	config.BearerToken = token
	return config
}

func (c *Cluster) clientFor(config *rest.Config) error {
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	c.Config, c.Client, c.kinds = config, client, newKinds(client.Discovery())
	quiet := rest.CopyConfig(config)
	quiet.WarningHandler = rest.NoWarnings{} // deprecated kinds are what some tests are about
	if c.Dynamic, err = dynamic.NewForConfig(quiet); err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	return nil
}
