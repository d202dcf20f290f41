package credentials_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/bonafide-dev/bonafide/evidence"
	"github.com/bonafide-dev/bonafide/imageref"
	"github.com/bonafide-dev/bonafide/internal/kube/credentials"
	"github.com/bonafide-dev/bonafide/internal/kube/kubetest"
	"github.com/bonafide-dev/bonafide/internal/rig"
	"github.com/bonafide-dev/bonafide/registry"
)

var shared rig.Shared

func TestMain(m *testing.M) { os.Exit(shared.Run(m)) }

const ghcr = `{"auths":{"ghcr.io":{"username":"puller","password":"hunter2"}}}`

func start(t *testing.T) (*rig.Cluster, kubernetes.Interface) {
	t.Helper()
	cluster := shared.Cluster(t)
	client := kubetest.Client(t, cluster.Config)
	return cluster, client.Typed
}

func create(t *testing.T, client kubernetes.Interface, namespace, name string, kind corev1.SecretType, data map[string]string) {
	t.Helper()
	_, err := client.CoreV1().Secrets(namespace).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: name}, Type: kind, StringData: data,
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}

// wantProblem returns the problem, which must hold nothing of a Secret.
func wantProblem(t *testing.T, err error) *evidence.Problem {
	t.Helper()
	var p *evidence.Problem
	if !errors.As(err, &p) || p.Reason != evidence.CredentialsFailed {
		t.Fatalf("want a problem with reason %s, got %v", evidence.CredentialsFailed, err)
	}
	if !p.Undecided() || strings.Contains(p.Error(), "hunter2") {
		t.Errorf("want an undecided problem without the secret, got %v", p)
	}
	return p
}

func TestPullSecret(t *testing.T) {
	cluster, client := start(t)
	ns, other := cluster.Namespace(t, nil), cluster.Namespace(t, nil)
	create(t, client, ns, "config", corev1.SecretTypeDockerConfigJson, map[string]string{corev1.DockerConfigJsonKey: ghcr})
	create(t, client, ns, "cfg", corev1.SecretTypeDockercfg, map[string]string{corev1.DockerConfigKey: `{"ghcr.io":{"auth":"YTpi"}}`})
	create(t, client, ns, "opaque", corev1.SecretTypeOpaque, map[string]string{corev1.DockerConfigJsonKey: ghcr})
	create(t, client, other, "theirs", corev1.SecretTypeDockerConfigJson, map[string]string{corev1.DockerConfigJsonKey: ghcr})
	cases := map[string]struct {
		reason  string
		name    string
		want    string
		refused string // a part of what was got
	}{
		"DockerConfigJSON":       {reason: "the usual type", name: "config", want: ghcr},
		"DockerCfg":              {reason: "the old type", name: "cfg", want: `{"ghcr.io":{"auth":"YTpi"}}`},
		"Absent":                 {reason: "kubelet passes over an absent secret", name: "gone"},
		"R6OtherType":            {reason: "a Secret of another type was made for another purpose", name: "opaque", refused: "Opaque"},
		"R6OtherNamespaceByPath": {reason: "a name is no path", name: "../../" + other + "/secrets/theirs", refused: "API server"},
		"OtherNamespace":         {reason: "of another namespace", name: "theirs"},
	}
	c := credentials.New(client, time.Now)
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := c.PullSecret(t.Context(), ns, tc.name)
			if tc.refused != "" {
				if p := wantProblem(t, err); !strings.Contains(p.Got, tc.refused) {
					t.Errorf("%s: want %q in what was got, got %q", tc.reason, tc.refused, p.Got)
				}
				return
			}
			if err != nil || string(got) != tc.want {
				t.Errorf("%s: want %q, got %q and %v", tc.reason, tc.want, got, err)
			}
		})
	}
}

func TestR6ServiceAccountTokenIsNoPullSecret(t *testing.T) {
	cluster, client := start(t)
	ns := cluster.Namespace(t, nil)
	cluster.ServiceAccountConfig(t, ns, "app")
	_, err := client.CoreV1().Secrets(ns).Create(t.Context(), &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "token", Annotations: map[string]string{corev1.ServiceAccountNameKey: "app"}},
		Type:       corev1.SecretTypeServiceAccountToken,
		Data:       map[string][]byte{corev1.DockerConfigJsonKey: []byte(ghcr), corev1.ServiceAccountTokenKey: []byte("hunter2")},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	got, err := credentials.New(client, time.Now).PullSecret(t.Context(), ns, "token")
	if p := wantProblem(t, err); got != nil || !strings.Contains(p.Got, "service-account-token") {
		t.Errorf("want the type refused, got %q and %v", got, err)
	}
}

func TestServiceAccount(t *testing.T) {
	cluster, client := start(t)
	ns := cluster.Namespace(t, nil)
	many := make([]corev1.LocalObjectReference, 65)
	for name, secrets := range map[string][]corev1.LocalObjectReference{
		"two": {{Name: "b"}, {}, {Name: "a"}}, "none": nil, "many": many,
	} {
		_, err := client.CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{
			ObjectMeta: metav1.ObjectMeta{Name: name}, ImagePullSecrets: secrets,
		}, metav1.CreateOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
	c := credentials.New(client, time.Now)
	for name, want := range map[string][]string{"two": {"b", "a"}, "none": {}, "gone": nil} {
		got, err := c.ServiceAccount(t.Context(), ns, name)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: pull secrets (-want +got): %v\n%s", name, err, diff)
		}
	}
	_, err := c.ServiceAccount(t.Context(), ns, "many")
	_ = wantProblem(t, err)
}

// TestPullerOfTheCluster goes the whole way: Pod, service account, operator.
func TestR36PullerOfTheCluster(t *testing.T) {
	cluster, client := start(t)
	ns, system := cluster.Namespace(t, nil), cluster.Namespace(t, nil)
	for place, user := range map[string]string{ns + "/own": "own", ns + "/account": "account", system + "/general": "general"} {
		namespace, name, _ := strings.Cut(place, "/")
		create(t, client, namespace, name, corev1.SecretTypeDockerConfigJson, map[string]string{
			corev1.DockerConfigJsonKey: `{"auths":{"ghcr.io":{"username":"` + user + `","password":"x"}}}`,
		})
	}
	_, err := client.CoreV1().ServiceAccounts(ns).Create(t.Context(), &corev1.ServiceAccount{
		ObjectMeta: metav1.ObjectMeta{Name: "default"}, ImagePullSecrets: []corev1.LocalObjectReference{{Name: "account"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	c := credentials.New(client, time.Now)
	keychain := registry.PullSecrets{Secrets: c, ServiceAccount: c.ServiceAccount, Operator: []evidence.SecretName{{Namespace: system, Name: "general"}}}
	cases := map[string]struct {
		puller evidence.Puller
		want   []string
	}{
		"OwnBeforeAccount": {evidence.Puller{Namespace: ns, PullSecrets: []string{"own"}}, []string{"own", "general of the operator"}},
		"DefaultAccount":   {evidence.Puller{Namespace: ns}, []string{"account", "general of the operator"}},
		"AbsentAccount":    {evidence.Puller{Namespace: ns, ServiceAccount: "gone"}, []string{"general of the operator"}},
		"Nobody":           {evidence.Puller{}, []string{"general of the operator"}},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			found, err := keychain.Credentials(t.Context(), tc.puller, imageref.MustParse("ghcr.io/acme/app").Repository())
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, credential := range found {
				text := credential.Username
				if credential.Operator {
					text += " of the operator"
				}
				got = append(got, text)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("credentials (-want +got):\n%s", diff)
			}
		})
	}
}

func TestPullSecretIsRememberedForAMinute(t *testing.T) {
	cluster, client := start(t)
	ns := cluster.Namespace(t, nil)
	var seconds atomic.Int64
	now := func() time.Time { return time.Unix(seconds.Load(), 0) }
	c := credentials.New(client, now)
	read := func(want string) {
		t.Helper()
		got, err := c.PullSecret(t.Context(), ns, "pull")
		if err != nil || string(got) != want {
			t.Errorf("after %ds: want %q, got %q and %v", seconds.Load(), want, got, err)
		}
	}
	read("")
	create(t, client, ns, "pull", corev1.SecretTypeDockerConfigJson, map[string]string{corev1.DockerConfigJsonKey: ghcr})
	seconds.Store(9)
	read("")
	seconds.Store(10)
	read(ghcr)
	if err := client.CoreV1().Secrets(ns).Delete(t.Context(), "pull", metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	seconds.Store(69)
	read(ghcr)
	seconds.Store(70)
	read("")
}

func TestR48ForbiddenIsUndecided(t *testing.T) {
	cluster, client := start(t)
	ns := cluster.Namespace(t, nil)
	alice, err := kubernetes.NewForConfig(cluster.ConfigFor(t, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	c := credentials.New(alice, time.Now)
	_, err = c.PullSecret(t.Context(), ns, "pull")
	if p := wantProblem(t, err); !strings.Contains(p.Got, "Forbidden") {
		t.Errorf("want the reason of the API server, got %q", p.Got)
	}
	_, err = c.ServiceAccount(t.Context(), ns, "default")
	_ = wantProblem(t, err)

	// An error is not remembered: once the role is there, it is read.
	grant(t, client, ns)
	rig.Eventually(t, "the role counts", func(ctx context.Context) error {
		_, err := c.PullSecret(ctx, ns, "pull")
		return err
	})
}

func grant(t *testing.T, client kubernetes.Interface, ns string) {
	t.Helper()
	_, err := client.RbacV1().Roles(ns).Create(t.Context(), &rbacv1.Role{
		ObjectMeta: metav1.ObjectMeta{Name: "read"},
		Rules:      []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"secrets"}, Verbs: []string{"get"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = client.RbacV1().RoleBindings(ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "read"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "read"},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.UserKind, Name: "alice"}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
}
