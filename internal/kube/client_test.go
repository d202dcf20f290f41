package kube_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bonafide-dev/bonafide/internal/kube"
)

const kubeconfig = `
apiVersion: v1
kind: Config
current-context: one
clusters:
- {name: c, cluster: {server: "https://127.0.0.1:1"}}
- {name: d, cluster: {server: "https://127.0.0.1:2"}}
users:
- {name: u, user: {token: t}}
contexts:
- {name: one, context: {cluster: c, user: u, namespace: team-a}}
- {name: two, context: {cluster: d, user: u}}
`

func writeFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestConnectWithoutACluster(t *testing.T) {
	t.Setenv("KUBERNETES_SERVICE_HOST", "")
	if _, err := kube.Connect("", "test"); !errors.Is(err, kube.ErrNoCluster) {
		t.Errorf("want ErrNoCluster, got %v", err)
	}
}

func TestConnectByAFile(t *testing.T) {
	client, err := kube.Connect(writeFile(t, kubeconfig), "test/1")
	if err != nil {
		t.Fatal(err)
	}
	if c := client.Config; c.Host != "https://127.0.0.1:1" || c.UserAgent != "test/1" || c.QPS != 50 || c.Burst != 100 {
		t.Errorf("want the current context, the name and the limits, got %q, %q, %v and %d", c.Host, c.UserAgent, c.QPS, c.Burst)
	}
	for name, text := range map[string]string{"Garbage": "}{", "NoSuchContext": strings.Replace(kubeconfig, "current-context: one", "current-context: none", 1)} {
		t.Run(name, func(t *testing.T) {
			file := writeFile(t, text)
			if _, err := kube.Connect(file, "test"); err == nil || !strings.Contains(err.Error(), file) {
				t.Errorf("want an error that names the file, got %v", err)
			}
		})
	}
}

func TestWorkstation(t *testing.T) {
	file := writeFile(t, kubeconfig)
	cases := map[string]struct {
		reason, context, host, namespace string
	}{
		"Current": {"as kubectl without --context", "", "https://127.0.0.1:1", "team-a"},
		"Named":   {"another context, which names no namespace", "two", "https://127.0.0.1:2", "default"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			t.Setenv("KUBECONFIG", file)
			for _, explicit := range []string{"", file} {
				client, namespace, err := kube.Workstation(explicit, tc.context, "test/1")
				if err != nil {
					t.Fatal(err)
				}
				if client.Config.Host != tc.host || namespace != tc.namespace || client.Config.UserAgent != "test/1" {
					t.Errorf("%s: want %s and %s, got %s and %s", tc.reason, tc.host, tc.namespace, client.Config.Host, namespace)
				}
			}
		})
	}
	if _, _, err := kube.Workstation(file, "none", "test"); err == nil {
		t.Error("want an error for a context that there is not")
	}
}
