package install_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

func TestChartLints(t *testing.T) {
	if out, err := helm(t, "lint", chart, "--strict", "--kube-version", clusterVersion); err != nil {
		t.Errorf("helm lint: %v\n%s", err, out)
	}
}

func TestSchemaRefusesWhatTheChartDoesNotKnow(t *testing.T) {
	cases := map[string]struct {
		reason, set, want string
	}{
		"UnknownValue":      {"a misspelt value would be ignored", "replica=3", "replica"},
		"UnknownInnerValue": {"also within an object", "image.name=x", "name"},
		"Unmatched":         {"a choice has its words", "unmatched=ignore", "unmatched"},
		"Type":              {"a truth is no text", "observeOnly=maybe", "observeOnly"},
		"ShortDigest":       {"a digest is whole", "image.digest=sha256:12", "digest"},
		"NamespacePattern":  {"exclusions are by name, never by pattern", "excludeNamespaces={kube-*}", "excludeNamespaces"},
		"PullSecret":        {"a Secret is named with its namespace", "registries.pullSecrets={name}", "pullSecrets"},
		"Duration":          {"a time has its unit", "tagTTL=10", "tagTTL"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := helm(t, "template", "bonafide", chart, "--kube-version", clusterVersion, "--set", c.set)
			if err == nil {
				t.Fatalf("%s: want --set %s refused, got none", c.reason, c.set)
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: want the refusal to name %q, got %v", c.reason, c.want, err)
			}
		})
	}
}

// TestChartHoldsTheDefinitions: the chart's custom resource definitions are
// those of config/crd, byte for byte.
func TestChartHoldsTheDefinitions(t *testing.T) {
	source, target := filepath.Join(root, "config", "crd"), filepath.Join(chart, "crds")
	names := yamlFiles(t, source)
	if len(names) == 0 {
		t.Fatalf("expected custom resource definitions in %s, got none", source)
	}
	for _, name := range names {
		golden(t, filepath.Join(target, name), string(read(t, source, name)))
	}
	if got := yamlFiles(t, target); !slices.Equal(names, got) {
		t.Errorf("crds: want %q, got %q", names, got)
	}
}

// TestInstallManifest: deploy/install.yaml is the chart with its defaults,
// behind the namespace.
func TestInstallManifest(t *testing.T) {
	var b strings.Builder
	b.WriteString(installHead)
	for line := range strings.Lines(render(t, "--include-crds")) {
		label := strings.TrimSpace(line)
		if strings.HasPrefix(label, "helm.sh/chart:") || label == "app.kubernetes.io/managed-by: Helm" {
			continue // Helm does not manage what kubectl applies
		}
		b.WriteString(line)
	}
	golden(t, filepath.Join(root, "deploy", "install.yaml"), b.String())
}

const installHead = `# Bonafide with the defaults of charts/bonafide, for those who do without Helm:
#
#   kubectl apply --server-side -f deploy/install.yaml
#
# Made from the chart by make generate-install. docs/operations.md says how to
# roll out, upgrade and uninstall.
apiVersion: v1
kind: Namespace
metadata:
  name: ` + systemNamespace + `
  labels:
    app.kubernetes.io/name: bonafide
    pod-security.kubernetes.io/enforce: restricted
`

func yamlFiles(t *testing.T, folder string) []string {
	t.Helper()
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, entry := range entries {
		if strings.HasSuffix(entry.Name(), ".yaml") {
			names = append(names, entry.Name())
		}
	}
	return names
}

func TestValuesBecomeFlags(t *testing.T) {
	always := []string{
		"serve", "--service=bonafide", "--unmatched=warn", "--tag-ttl=10s", "--audit-interval=1h", "--log-level=info", "--log-format=json",
	}
	cases := map[string]struct {
		reason string
		set    string
		want   []string // beside those that are always there
	}{
		"Defaults":     {"no weakening and no roll-out switch is on", "replicas=2", nil},
		"ObserveOnly":  {"one switch", "observeOnly=true", []string{"--observe-only"}},
		"Namespaces":   {"a flag for each name", "onlyNamespaces={a,b},excludeNamespaces={c}", []string{"--only-namespaces=a", "--only-namespaces=b", "--exclude-namespaces=c"}},
		"NoRegister":   {"who registers by hand", "register=false", []string{"--no-register"}},
		"TrustedRoot":  {"as the flag", "trustedRoot=public-good", []string{"--trusted-root=public-good"}},
		"AllowedUsers": {"whole user names", "checkimages.allowedUsers={system:serviceaccount:kyverno:kyverno-admission-controller}", []string{"--allowed-user=system:serviceaccount:kyverno:kyverno-admission-controller"}},
		"Registries": {"credentials and addresses", "registries.allow={r.corp:5000},registries.insecure={dev:5000},registries.pullSecrets={ops/pull},registries.cloudCredentials={aws,gcp}", []string{
			"--allow-registry=r.corp:5000", "--insecure-registry=dev:5000", "--pull-secret=ops/pull", "--cloud-credentials=aws,gcp",
		}},
		"RegistryConfig": {"the mounted file", "registries.configSecret=regs", []string{"--registries=/etc/bonafide/registries/registries.yaml"}},
		"Certificate":    {"the mounted files", "tls.existingSecret=cert", []string{"--tls-cert=/etc/bonafide/tls/tls.crt", "--tls-key=/etc/bonafide/tls/tls.key"}},
		"ExtraArgs":      {"last, as they are", "extraArgs={--gatekeeper-timeout=2s}", []string{"--gatekeeper-timeout=2s"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			pod := deployment(t, render(t, "--set", c.set)).Spec.Template.Spec
			if diff := cmp.Diff(append(slices.Clone(always), c.want...), pod.Containers[0].Args); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

func deployment(t *testing.T, manifests string) appsv1.Deployment {
	t.Helper()
	object := find(objects(t, manifests), "Deployment", "bonafide")
	if object == nil {
		t.Fatal("expected the Deployment bonafide, got none")
	}
	var d appsv1.Deployment
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &d, true); err != nil {
		t.Fatalf("the Deployment: %v", err)
	}
	return d
}

// TestEveryMountHasItsVolume, whatever is switched on.
func TestEveryMountHasItsVolume(t *testing.T) {
	for _, set := range []string{"replicas=2", "tls.existingSecret=cert,registries.configSecret=regs"} {
		pod := deployment(t, render(t, "--set", set)).Spec.Template.Spec
		var volumes, mounts []string
		for _, v := range pod.Volumes {
			volumes = append(volumes, v.Name)
		}
		for _, m := range pod.Containers[0].VolumeMounts {
			mounts = append(mounts, m.Name)
		}
		if diff := cmp.Diff(volumes, mounts); diff != "" {
			t.Errorf("--set %s: volumes and mounts (-want +got):\n%s", set, diff)
		}
	}
}

func TestPodsAreRestricted(t *testing.T) {
	pod := deployment(t, render(t)).Spec.Template.Spec
	yes, no, user := true, false, int64(65532)
	want := &corev1.PodSecurityContext{
		RunAsNonRoot: &yes, RunAsUser: &user, RunAsGroup: &user, FSGroup: &user,
		SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
	}
	if diff := cmp.Diff(want, pod.SecurityContext); diff != "" {
		t.Errorf("the Pod (-want +got):\n%s", diff)
	}
	container := &corev1.SecurityContext{
		AllowPrivilegeEscalation: &no, ReadOnlyRootFilesystem: &yes, Capabilities: &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
	}
	if diff := cmp.Diff(container, pod.Containers[0].SecurityContext); diff != "" {
		t.Errorf("the container (-want +got):\n%s", diff)
	}
}

// drain is what the server takes at most to finish reviews (server.DefaultDrainTimeout), in seconds.
const drain = 20

func TestGracePeriodCoversTheDrain(t *testing.T) {
	pod := deployment(t, render(t)).Spec.Template.Spec
	stop := pod.Containers[0].Lifecycle.PreStop.Sleep.Seconds
	if grace := *pod.TerminationGracePeriodSeconds; grace <= stop+drain {
		t.Errorf("want a grace period above %d s of preStop and %d s of drain, got %d s", stop, drain, grace)
	}
}

func TestOptionalObjects(t *testing.T) {
	cases := map[string]struct {
		reason, set, kind, name string
		want                    bool
	}{
		"Budget":                 {"two replicas can spare one", "replicas=2", "PodDisruptionBudget", "bonafide", true},
		"BudgetOfOne":            {"a single replica could never be moved", "replicas=1", "PodDisruptionBudget", "bonafide", false},
		"NetworkPolicy":          {"on unless switched off", "replicas=2", "NetworkPolicy", "bonafide", true},
		"NoNetworkPolicy":        {"switched off", "networkPolicy.enabled=false", "NetworkPolicy", "bonafide", false},
		"NoServiceMonitor":       {"its kind may not exist", "replicas=2", "ServiceMonitor", "bonafide", false},
		"ServiceMonitor":         {"switched on", "serviceMonitor.enabled=true", "ServiceMonitor", "bonafide", true},
		"NoRoles":                {"the operator's own", "rbac.create=false", "ClusterRole", "bonafide", false},
		"NoUserRoles":            {"the operator's own", "rbac.userRoles=false", "ClusterRole", "bonafide-viewer", false},
		"SecretsRoleNotNeeded":   {"every Secret is watched", everything, "Role", "bonafide-secrets", false},
		"SecretsRole":            {"those of the system namespace", "replicas=2", "Role", "bonafide-secrets", true},
		"NoMutatingRegistered":   {"Bonafide registers itself", "replicas=2", "MutatingWebhookConfiguration", "bonafide", false},
		"NoValidatingRegistered": {"Bonafide registers itself", "replicas=2", "ValidatingWebhookConfiguration", "bonafide", false},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := find(objects(t, render(t, "--set", c.set)), c.kind, c.name) != nil
			if got != c.want {
				t.Errorf("%s: want %s %s there %t, got %t", c.reason, c.kind, c.name, c.want, got)
			}
		})
	}
}
