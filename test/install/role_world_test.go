package install_test

import (
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/bonafide-dev/bonafide/internal/fixture"
	"github.com/bonafide-dev/bonafide/internal/rig"
)

// tenant is the namespace of those who run Pods.
const tenant = "role-tenant"

// A world is a cluster with the chart's definitions and roles, and all that has
// the program use its rights: three registries that each want credentials of
// another origin, images, and keys.
type world struct {
	*rig.Cluster
	balancer *rig.Balancer
	witness  *rig.Witness
	flags    []string // those of the chart's Deployment
	env      []string
	t        *testing.T // for what lives as long as the world
	late     sync.Once

	// The registries' pull secrets are named by the Pod, by its ServiceAccount,
	// and by the operator.
	byPod, byAccount, byOperator *fixture.Registry
	key                          fixture.Key
	excused, stopped             fixture.Image
	root                         fixture.Authority
}

// newWorld applies the chart with every right switched on.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		Cluster: rig.Start(t), t: t, balancer: rig.StartBalancer(t), key: rig.NewKey(t),
		byPod: private(t), byAccount: private(t), byOperator: private(t),
	}
	w.NamespaceNamed(t, systemNamespace)
	w.NamespaceNamed(t, tenant)
	w.push(t)
	manifests := render(t, "--include-crds", "--values", w.values(t))
	for _, object := range objects(t, manifests) {
		switch object.GetKind() {
		case "CustomResourceDefinition", "ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding":
			text, err := object.MarshalJSON()
			if err != nil {
				t.Fatal(err)
			}
			w.Apply(t, string(text))
		}
	}
	w.Apply(t, definitionsOfOthers("wgpolicyk8s.io", "openreports.io", "kyverno.io", "externaldata.gatekeeper.sh"))
	w.flags, w.env = w.flagsOf(t, manifests), environmentOf(t, manifests)
	w.witness = w.Witness(t)
	return w
}

func private(t *testing.T) *fixture.Registry {
	t.Helper()
	return rig.NewStore(t, fixture.Options{Referrers: true, Auth: fixture.Auth{Scheme: fixture.Basic, Username: "robot", Password: "secret"}})
}

// values writes the chart's values: the rights, and what belongs to this world.
func (w *world) values(t *testing.T) string {
	t.Helper()
	text, err := json.Marshal(map[string]any{
		"rbac":          map[string]any{"watchSecrets": true},
		"auditInterval": "1s",
		"checkimages":   map[string]any{"allowedUsers": []string{"system:serviceaccount:" + tenant + ":kyverno"}},
		"registries": map[string]any{
			"insecure":    []string{w.byPod.Host(), w.byAccount.Host(), w.byOperator.Host()},
			"pullSecrets": []string{systemNamespace + "/operator"},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "values.yaml")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// flagsOf takes the flags from the Deployment. In place of the Service, which
// leads nowhere here, there is the balancer.
func (w *world) flagsOf(t *testing.T, manifests string) []string {
	t.Helper()
	args := deployment(t, manifests).Spec.Template.Spec.Containers[0].Args
	service := slices.Index(args, "--service=bonafide")
	if service < 0 || args[0] != "serve" {
		t.Fatalf("want serve with --service=bonafide, got %q", args)
	}
	flags := slices.Clone(args[1:])
	flags[service-1] = "--webhook-url=" + w.balancer.URL
	return flags
}

// environmentOf takes the environment from the Deployment, with a folder of the
// test's in place of the volume.
func environmentOf(t *testing.T, manifests string) []string {
	t.Helper()
	var all []string
	for _, e := range deployment(t, manifests).Spec.Template.Spec.Containers[0].Env {
		switch {
		case e.Name == "POD_NAMESPACE":
			all = append(all, e.Name+"="+systemNamespace)
		case e.Name == "BONAFIDE_CACHE_DIR":
			all = append(all, e.Name+"="+t.TempDir())
		case e.Value != "":
			all = append(all, e.Name+"="+e.Value)
		}
	}
	return all
}

// definitionsOfOthers are definitions of the kinds that Bonafide reads or writes
// where others brought them, of some groups. What they hold does not matter here.
func definitionsOfOthers(groups ...string) string {
	var b strings.Builder
	for _, k := range []struct{ group, version, plural, kind, scope string }{
		{"kyverno.io", "v1", "clusterpolicies", "ClusterPolicy", "Cluster"},
		{"kyverno.io", "v1", "policies", "Policy", "Namespaced"},
		{"notation.nirmata.io", "v1alpha1", "trustpolicies", "TrustPolicy", "Cluster"},
		{"notation.nirmata.io", "v1alpha1", "truststores", "TrustStore", "Cluster"},
		{"wgpolicyk8s.io", "v1alpha2", "policyreports", "PolicyReport", "Namespaced"},
		{"openreports.io", "v1alpha1", "reports", "Report", "Namespaced"},
		{"externaldata.gatekeeper.sh", "v1beta1", "providers", "Provider", "Cluster"},
	} {
		if !slices.Contains(groups, k.group) {
			continue
		}
		fmt.Fprintf(&b, `---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: %[1]s.%[2]s, annotations: {api-approved.kubernetes.io: "unapproved, a stand-in for tests"}}
spec:
  group: %[2]s
  scope: %[3]s
  names: {plural: %[1]s, singular: %[4]s, kind: %[5]s, listKind: %[5]sList}
  versions:
  - name: %[6]s
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`, k.plural, k.group, k.scope, strings.ToLower(k.kind), k.kind, k.version)
	}
	return b.String()
}

// push pushes the images: what is named signed is, by the key that policies name.
func (w *world) push(t *testing.T) {
	t.Helper()
	for _, name := range []string{"cluster", "team", "kyverno", "kyvernoteam"} {
		rig.Push(t, w.byPod, name+"/signed:1", w.key)
		rig.Push(t, w.byPod, name+"/unsigned:1")
	}
	rig.Push(t, w.byAccount, "cluster/signed:1", w.key)
	rig.Push(t, w.byOperator, "cluster/signed:1", w.key)
	w.excused = rig.Push(t, w.byPod, "cluster/excused:1")
	w.stopped = rig.Push(t, w.byPod, "cluster/stopped:1", w.key)

	var err error
	if w.root, err = fixture.NewAuthority(fixture.CertificateOptions{}); err != nil {
		t.Fatal(err)
	}
	leaf, err := w.root.Issue(fixture.CertificateOptions{Subject: pkix.Name{
		Country: []string{"US"}, Province: []string{"WA"}, Organization: []string{"Acme"}, CommonName: "signer",
	}})
	if err != nil {
		t.Fatal(err)
	}
	image := rig.Push(t, w.byOperator, "nirmata/signed:1")
	if _, err := w.byOperator.SignNotation(t.Context(), image, leaf, fixture.NotationOptions{}); err != nil {
		t.Fatal(err)
	}
}

// inhabit applies what there is before the program starts.
func (w *world) inhabit(t *testing.T) {
	t.Helper()
	login := func(r *fixture.Registry) string {
		text, err := json.Marshal(map[string]any{"auths": map[string]any{r.Host(): map[string]string{"username": "robot", "password": "secret"}}})
		if err != nil {
			t.Fatal(err)
		}
		return base64.StdEncoding.EncodeToString(text)
	}
	w.Apply(t, strings.NewReplacer(
		"SYSTEM", systemNamespace, "TENANT", tenant, "KEY", base64.StdEncoding.EncodeToString(w.key.PublicPEM),
		"OF_POD", login(w.byPod), "OF_ACCOUNT", login(w.byAccount), "OF_OPERATOR", login(w.byOperator),
	).Replace(`
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: SYSTEM}
data: {cosign.pub: KEY}
---
apiVersion: v1
kind: Secret
metadata: {name: key, namespace: TENANT}
data: {cosign.pub: KEY}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: key, namespace: TENANT}
binaryData: {cosign.pub: KEY}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/dockerconfigjson
metadata: {name: pod, namespace: TENANT}
data: {.dockerconfigjson: OF_POD}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/dockerconfigjson
metadata: {name: account, namespace: TENANT}
data: {.dockerconfigjson: OF_ACCOUNT}
---
apiVersion: v1
kind: Secret
type: kubernetes.io/dockerconfigjson
metadata: {name: operator, namespace: SYSTEM}
data: {.dockerconfigjson: OF_OPERATOR}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: runner, namespace: TENANT}
imagePullSecrets: [{name: account}]
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kyverno, namespace: TENANT}
---
apiVersion: externaldata.gatekeeper.sh/v1beta1
kind: Provider
metadata: {name: bonafide, labels: {bonafide.dev/inject-ca: "true"}}
spec: {url: "https://localhost:1", timeout: 5, caBundle: ""}
`))
}

// policies are of every kind, and of both places that a key may be read from.
func (w *world) policies() string {
	return strings.NewReplacer(
		"SYSTEM", systemNamespace, "TENANT", tenant, "PEM", fmt.Sprintf("%q", w.key.PublicPEM),
		"BY_POD", w.byPod.Host(), "BY_ACCOUNT", w.byAccount.Host(), "BY_OPERATOR", w.byOperator.Host(),
		"EXCUSED", w.excused.Digest.String(), "STOPPED", w.stopped.Digest.String(),
		"TOMORROW", time.Now().Add(24*time.Hour).UTC().Format(time.RFC3339),
	).Replace(`
apiVersion: bonafide.dev/v1alpha1
kind: ClusterVerificationPolicy
metadata: {name: role-cluster}
spec:
  images: ["BY_POD/cluster/*", "BY_ACCOUNT/cluster/*", "BY_OPERATOR/cluster/*"]
  signers: [{name: release, sigstore: {transparencyLog: Ignored, key: {secretRef: {namespace: SYSTEM, name: key, key: cosign.pub}}}}]
  require: [{signature: {anyOf: [release]}}]
---
apiVersion: bonafide.dev/v1alpha1
kind: VerificationPolicy
metadata: {name: role-team, namespace: TENANT}
spec:
  images: ["BY_POD/team/*"]
  signers: [{name: map, sigstore: {transparencyLog: Ignored, key: {configMapRef: {name: key, key: cosign.pub}}}}]
  require: [{signature: {anyOf: [map]}}]
---
apiVersion: bonafide.dev/v1alpha1
kind: VerificationPolicy
metadata: {name: role-team-secret, namespace: TENANT}
spec:
  images: ["BY_POD/team/*"]
  signers: [{name: secret, sigstore: {transparencyLog: Ignored, key: {secretRef: {name: key, key: cosign.pub}}}}]
  require: [{signature: {anyOf: [secret]}}]
---
apiVersion: bonafide.dev/v1alpha1
kind: VerificationException
metadata: {name: role-excused}
spec: {images: ["EXCUSED"], policies: [role-cluster], reason: the vendor signs from the next release on, expires: "TOMORROW"}
---
apiVersion: bonafide.dev/v1alpha1
kind: ImageDenyList
metadata: {name: role-stopped}
spec: {images: ["STOPPED"], reason: they mine coins}
`)
}

// kyverno are policies of Kyverno, one for the cluster and one for a namespace.
func (w *world) kyverno() string {
	const rule = `
spec:
  validationFailureAction: Enforce
  rules:
  - name: signed
    match: {any: [{resources: {kinds: [Pod]}}]}
    verifyImages:
    - imageReferences: ['IMAGES']
      attestors: [{entries: [{keys: {publicKeys: PEM, rekor: {ignoreTlog: true}}}]}]
`
	of := func(head, images string) string {
		return head + strings.NewReplacer("IMAGES", w.byPod.Host()+images, "PEM", fmt.Sprintf("%q", w.key.PublicPEM)).Replace(rule)
	}
	return of("apiVersion: kyverno.io/v1\nkind: ClusterPolicy\nmetadata: {name: role-kyverno}", "/kyverno/*") + "---\n" +
		of("apiVersion: kyverno.io/v1\nkind: Policy\nmetadata: {name: role-kyverno, namespace: "+tenant+"}", "/kyvernoteam/*")
}

// nirmata are a trust policy and its store.
func (w *world) nirmata() string {
	return strings.NewReplacer("PEM", fmt.Sprintf("%q", w.root.PEM())).Replace(`
apiVersion: notation.nirmata.io/v1alpha1
kind: TrustStore
metadata: {name: role}
spec: {trustStoreName: acme, type: ca, caBundle: PEM}
---
apiVersion: notation.nirmata.io/v1alpha1
kind: TrustPolicy
metadata: {name: role}
spec:
  version: "1.0"
  trustPolicyName: role
  trustPolicies:
  - {name: all, registryScopes: ["*"], signatureVerification: {level: strict, override: {revocation: log}}, trustStores: ["ca:acme"], trustedIdentities: ["*"]}
`)
}

// account returns a configuration with a token that the API server issued for a
// ServiceAccount.
func (w *world) account(t *testing.T, namespace, name string) *rest.Config {
	t.Helper()
	answer, err := w.Client.CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create a token for ServiceAccount %s/%s: %v", namespace, name, err)
	}
	config := rest.AnonymousClientConfig(w.Config)
	config.BearerToken = answer.Status.Token
	return config
}
