package rig

import (
	"context"
	"crypto/rand"
	"crypto/x509"
	"encoding/csv"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	issuer        = "https://kubernetes.default.svc"
	administrator = "admin"
)

// A user can authenticate with a token, as the API server's token file says.
type user struct{ name, group, token string }

// files are the inputs of an API server.
type files struct {
	folder    string
	authority *authority
	serving   keyPair
	signing   string // key of service account tokens
	verifying string // its public key
	tokens    string
	admission string
	gates     string // feature gates that are not on by default
}

func (c *Cluster) startEtcd(ctx context.Context) error {
	executable, err := Binary(ctx, "etcd")
	if err != nil {
		return err
	}
	peer := "unix://" + filepath.Join(c.folder, "peer.sock")
	c.etcd, err = startProcess(ctx, c.folder, executable,
		"--data-dir="+filepath.Join(c.folder, "etcd"),
		"--listen-client-urls="+c.socket(), "--advertise-client-urls="+c.socket(),
		"--listen-peer-urls="+peer, "--initial-advertise-peer-urls="+peer, "--initial-cluster=default="+peer,
		"--unsafe-no-fsync", // nothing here outlives the test
		"--log-level=warn",
	)
	if err != nil {
		return err
	}
	return c.etcd.ready(ctx, func(ctx context.Context) error {
		conn, err := new(net.Dialer).DialContext(ctx, "unix", strings.TrimPrefix(c.socket(), "unix://"))
		if err != nil {
			return err
		}
		return conn.Close()
	})
}

// startAPIServer starts the server with the features that tests need:
// MutatingAdmissionPolicy and image volumes are on by default in 1.36. The
// ServiceAccount plugin is off, since no controller makes the accounts that it
// asks for.
func (c *Cluster) startAPIServer(ctx context.Context, f files, port int) error {
	executable, err := Binary(ctx, "kube-apiserver")
	if err != nil {
		return err
	}
	c.apiserver, err = startProcess(ctx, c.folder, executable,
		"--etcd-servers="+c.socket(),
		"--bind-address="+loopback, "--advertise-address="+loopback, "--secure-port="+strconv.Itoa(port),
		"--endpoint-reconciler-type=none",
		"--tls-cert-file="+f.serving.certificate, "--tls-private-key-file="+f.serving.key, "--cert-dir="+f.folder,
		"--service-account-issuer="+issuer, "--service-account-signing-key-file="+f.signing, "--service-account-key-file="+f.verifying,
		"--service-cluster-ip-range=10.96.0.0/16",
		"--token-auth-file="+f.tokens, "--authorization-mode=RBAC", "--anonymous-auth=false",
		"--disable-admission-plugins=ServiceAccount",
		"--admission-control-config-file="+f.admission, "--feature-gates="+f.gates,
		"--shutdown-delay-duration=0s", "--profiling=false",
	)
	if err != nil {
		return err
	}
	config := &rest.Config{
		Host:            "https://" + addressOf(port),
		BearerToken:     c.users[0].token,
		TLSClientConfig: rest.TLSClientConfig{CAData: f.authority.pem},
		QPS:             -1,    // no rate limit
		UserAgent:       "rig", // field managers are named after it
	}
	if err := c.clientFor(config); err != nil {
		return err
	}
	if err := c.apiserver.ready(ctx, c.serves); err != nil {
		c.apiserver.stop()
		return err
	}
	return c.writeKubeconfig()
}

// serves reports whether the API server is ready and has made the namespaces
// that it makes itself, which it does some time after it says that it is ready.
func (c *Cluster) serves(ctx context.Context) error {
	if err := c.Client.Discovery().RESTClient().Get().AbsPath("/readyz").Do(ctx).Error(); err != nil {
		return err
	}
	for _, namespace := range []string{metav1.NamespaceDefault, metav1.NamespaceSystem} {
		if _, err := c.Client.CoreV1().Namespaces().Get(ctx, namespace, metav1.GetOptions{}); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cluster) writeFiles() (files, error) {
	f := files{
		folder:    c.folder,
		signing:   filepath.Join(c.folder, "service-accounts.key"),
		verifying: filepath.Join(c.folder, "service-accounts.pub"),
		tokens:    filepath.Join(c.folder, "tokens.csv"),
		admission: filepath.Join(c.folder, "admission.yaml"),
	}
	key, err := newKey()
	if err != nil {
		return files{}, err
	}
	if err := errors.Join(writeKey(f.signing, key), writePublicKey(f.verifying, key)); err != nil {
		return files{}, err
	}
	if f.authority, err = newAuthority("rig"); err != nil {
		return files{}, err
	}
	if f.serving, err = f.authority.issue(f.folder, "kube-apiserver", x509.ExtKeyUsageServerAuth); err != nil {
		return files{}, err
	}
	if len(c.options.StaticMutating)+len(c.options.StaticValidating) > 0 {
		f.gates = "ManifestBasedAdmissionControlConfig=true" // alpha in 1.36
	}
	return f, errors.Join(c.writeTokens(f.tokens), c.writeAdmission(f))
}

// writeTokens writes the API server's token file: token, user, uid, groups.
func (c *Cluster) writeTokens(path string) error {
	c.users = []user{
		{name: administrator, group: "system:masters"},
		{name: "alice", group: "team-a"},
		{name: "bob", group: "team-b"},
	}
	var text strings.Builder
	w := csv.NewWriter(&text)
	for i := range c.users {
		u := &c.users[i]
		u.token = rand.Text()
		if err := w.Write([]string{u.token, u.name, u.name, u.group}); err != nil {
			return err
		}
	}
	w.Flush()
	return errors.Join(w.Error(), os.WriteFile(path, []byte(text.String()), 0o600))
}

// writeAdmission has the API server show a client certificate to every webhook,
// so that tests can ask for it.
func (c *Cluster) writeAdmission(f files) error {
	ca, err := newAuthority("rig-admission")
	if err != nil {
		return err
	}
	c.AdmissionCA = ca.pem
	client, err := ca.issue(f.folder, "admission-client", x509.ExtKeyUsageClientAuth)
	if err != nil {
		return err
	}
	config := clientcmdapi.NewConfig()
	config.AuthInfos["*"] = &clientcmdapi.AuthInfo{ClientCertificate: client.certificate, ClientKey: client.key}
	kubeconfig := filepath.Join(f.folder, "admission.kubeconfig")
	if err := clientcmd.WriteToFile(*config, kubeconfig); err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString("apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\nplugins:\n")
	for _, plugin := range []struct {
		name   string
		static []byte
	}{{"MutatingAdmissionWebhook", c.options.StaticMutating}, {"ValidatingAdmissionWebhook", c.options.StaticValidating}} {
		fmt.Fprintf(&text, "- name: %s\n  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: %q", plugin.name, kubeconfig)
		if len(plugin.static) > 0 {
			static := filepath.Join(f.folder, plugin.name) // each wants a folder of its own
			if err := writeStatic(static, plugin.static); err != nil {
				return err
			}
			fmt.Fprintf(&text, ", staticManifestsDir: %q", static)
		}
		text.WriteString("}\n")
	}
	return os.WriteFile(f.admission, []byte(text.String()), 0o600)
}

func writeStatic(folder string, manifest []byte) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(folder, "webhooks.yaml"), manifest, 0o600)
}

// writeKubeconfig writes the administrator's kubeconfig file.
func (c *Cluster) writeKubeconfig() error {
	c.Kubeconfig = filepath.Join(c.folder, "kubeconfig")
	return writeKubeconfigFile(c.Kubeconfig, c.Config)
}

func writeKubeconfigFile(file string, client *rest.Config) error {
	const name = "rig"
	config := clientcmdapi.NewConfig()
	config.Clusters[name] = &clientcmdapi.Cluster{Server: client.Host, CertificateAuthorityData: client.CAData}
	config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: client.BearerToken}
	config.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	config.CurrentContext = name
	return clientcmd.WriteToFile(*config, file)
}

// token asks the API server for a token of the account, for itself unless
// audiences are given.
func (c *Cluster) token(ctx context.Context, namespace, name string, audiences ...string) (string, error) {
	answer, err := c.Client.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: audiences},
	}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("create a token for ServiceAccount %s/%s: %w", namespace, name, err)
	}
	return answer.Status.Token, nil
}
