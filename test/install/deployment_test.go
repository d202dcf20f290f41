package install_test

import (
	"fmt"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// TestProgramTakesEveryFlag asks the program itself, which reads all flags
// before it answers --help: a flag that was renamed, or a value that it does not
// read, is an error.
func TestProgramTakesEveryFlag(t *testing.T) {
	program := shared.Command(t)
	cases := map[string]struct{ reason, set string }{
		"Defaults":    {"what most run", "replicas=2"},
		"Roll-out":    {"the switches of a roll-out", "observeOnly=true,onlyNamespaces={a,b},unmatched=allow"},
		"Exclusion":   {"names, one by one", "excludeNamespaces={a,b},unmatched=deny,register=false"},
		"Registries":  {"all that is about registries", "registries.allow={r.corp:5000},registries.insecure={dev:5000},registries.pullSecrets={ops/pull},registries.cloudCredentials={aws,gcp,azure},registries.configSecret=regs"},
		"Certificate": {"a mounted certificate", "tls.existingSecret=cert,trustedRoot=public-good"},
		"Callers":     {"callers of /checkimages", "checkimages.allowedUsers={system:serviceaccount:kyverno:kyverno-admission-controller}"},
		"Times":       {"times", "tagTTL=0s,auditInterval=0s,log.level=debug,log.format=text"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			args := deployment(t, render(t, "--set", c.set)).Spec.Template.Spec.Containers[0].Args
			out, err := exec.CommandContext(t.Context(), program, append(args, "--help")...).CombinedOutput() // #nosec G204 -- the program of this tree
			if err != nil || !strings.Contains(string(out), "--audit-interval") {
				t.Errorf("%s: want the program to take %q, got %v\n%s", c.reason, args, err, out)
			}
		})
	}
	t.Run("Unknown", func(t *testing.T) {
		if err := exec.CommandContext(t.Context(), program, "serve", "--no-such-flag", "--help").Run(); err == nil { // #nosec G204 -- as above
			t.Error("want a flag that does not exist refused, got none of it")
		}
	})
}

// TestNothingIsWrittenToTheImage: the root is read-only, and there is no home.
// What is kept is in volumes; TestRole sees that the home stays empty.
func TestNothingIsWrittenToTheImage(t *testing.T) {
	container := deployment(t, render(t)).Spec.Template.Spec.Containers[0]
	value := func(name string) string {
		at := slices.IndexFunc(container.Env, func(e corev1.EnvVar) bool { return e.Name == name })
		if at < 0 {
			return ""
		}
		return container.Env[at].Value
	}
	if got := value("AWS_ECR_DISABLE_CACHE"); got != "1" {
		t.Errorf("AWS_ECR_DISABLE_CACHE: want 1, since its cache is in the home folder, got %q", got)
	}
	cache := value("BONAFIDE_CACHE_DIR")
	for _, folder := range []string{cache, "/tmp"} {
		if !slices.ContainsFunc(container.VolumeMounts, func(m corev1.VolumeMount) bool { return m.MountPath == folder && !m.ReadOnly }) {
			t.Errorf("%q: want a volume to write to, got none", folder)
		}
	}
}

// TestPodsSpreadAndOutrankOthers: a node, or a zone, that is lost takes no two
// replicas along while there are others, and no workload pushes them out.
func TestPodsSpreadAndOutrankOthers(t *testing.T) {
	pod := deployment(t, render(t)).Spec.Template.Spec
	var over []string
	for _, c := range pod.TopologySpreadConstraints {
		over = append(over, fmt.Sprintf("%s by %d, %s", c.TopologyKey, c.MaxSkew, c.WhenUnsatisfiable))
	}
	want := []string{"kubernetes.io/hostname by 1, ScheduleAnyway", "topology.kubernetes.io/zone by 1, ScheduleAnyway"}
	if !slices.Equal(over, want) {
		t.Errorf("want the Pods spread over %q, got %q", want, over)
	}
	if got := pod.PriorityClassName; got != "system-cluster-critical" {
		t.Errorf("want the priority class system-cluster-critical, got %q", got)
	}
}

// TestSelectorsFindThePods, whatever is switched on: a selector that finds none
// says nothing.
func TestSelectorsFindThePods(t *testing.T) {
	manifests := render(t, "--set", "podLabels.team=platform,serviceMonitor.enabled=true")
	pods := labels.Set(deployment(t, manifests).Spec.Template.Labels)
	var service corev1.Service
	var budget policyv1.PodDisruptionBudget
	var network networkingv1.NetworkPolicy
	for kind, typed := range map[string]any{"Service": &service, "PodDisruptionBudget": &budget, "NetworkPolicy": &network} {
		as(t, manifests, kind, typed)
	}
	selectors := map[string]*metav1.LabelSelector{
		"Deployment": deployment(t, manifests).Spec.Selector, "PodDisruptionBudget": budget.Spec.Selector,
		"NetworkPolicy": &network.Spec.PodSelector, "Service": {MatchLabels: service.Spec.Selector},
	}
	for _, c := range deployment(t, manifests).Spec.Template.Spec.TopologySpreadConstraints {
		selectors["topology spread over "+c.TopologyKey] = c.LabelSelector
	}
	for what, s := range selectors {
		selector, err := metav1.LabelSelectorAsSelector(s)
		if err != nil || selector.Empty() || !selector.Matches(pods) {
			t.Errorf("%s: want %v to select the Pods, labelled %v: %v", what, s, pods, err)
		}
	}
	monitor := find(objects(t, manifests), "ServiceMonitor", "bonafide").Object
	spec, _ := monitor["spec"].(map[string]any)
	chosen, _ := spec["selector"].(map[string]any)
	for name, value := range chosen["matchLabels"].(map[string]any) { //nolint:forcetypeassert // or the test fails
		if service.Labels[name] != value {
			t.Errorf("ServiceMonitor: want its label %s=%s at the Service, got %q", name, value, service.Labels[name])
		}
	}
}

// TestPortsLeadToTheProgram: those of the Service, the probes and the network
// policy are names of the container's, whose numbers are where the program
// listens unless told otherwise.
func TestPortsLeadToTheProgram(t *testing.T) {
	manifests := render(t)
	container := deployment(t, manifests).Spec.Template.Spec.Containers[0]
	ports := map[string]int32{}
	for _, p := range container.Ports {
		ports[p.Name] = p.ContainerPort
	}
	if diff := cmp.Diff(map[string]int32{"webhooks": 9443, "metrics": 8080}, ports); diff != "" {
		t.Errorf("ports of the container (-want +got):\n%s", diff)
	}
	help, err := exec.CommandContext(t.Context(), shared.Command(t), "serve", "--help").Output() // #nosec G204 -- the program of this tree
	if err != nil || !strings.Contains(string(help), `(default ":9443")`) || !strings.Contains(string(help), `(default ":8080")`) {
		t.Errorf("want the program to listen at these ports, got %v\n%s", err, help)
	}
	var service corev1.Service
	var network networkingv1.NetworkPolicy
	as(t, manifests, "Service", &service)
	as(t, manifests, "NetworkPolicy", &network)
	named := map[string]intstr.IntOrString{
		"liveness probe": container.LivenessProbe.HTTPGet.Port, "readiness probe": container.ReadinessProbe.HTTPGet.Port,
	}
	for _, p := range service.Spec.Ports {
		named["port "+p.Name+" of the Service"] = p.TargetPort
	}
	for _, in := range network.Spec.Ingress {
		named["the network policy's "+in.Ports[0].Port.String()] = *in.Ports[0].Port
	}
	for what, port := range named {
		if ports[port.StrVal] == 0 {
			t.Errorf("%s: want a port of the container by its name, got %v", what, port)
		}
	}
}

// TestNetworkPolicyLetsIn: the API server, which has no label, at the webhooks'
// port, and whoever scrapes at the other; and lets everything out: to the API
// server, to name servers and to registries, which are anywhere.
func TestNetworkPolicyLetsIn(t *testing.T) {
	from := func(set string) map[string]int {
		var network networkingv1.NetworkPolicy
		as(t, render(t, "--set", set), "NetworkPolicy", &network)
		if !slices.Equal(network.Spec.PolicyTypes, []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}) {
			t.Errorf("want what goes out not limited, got %v", network.Spec.PolicyTypes)
		}
		peers := map[string]int{}
		for _, in := range network.Spec.Ingress {
			peers[in.Ports[0].Port.StrVal] = len(in.From)
		}
		return peers
	}
	cases := map[string]struct {
		reason, set string
		want        map[string]int // peers by port; 0 is everybody
	}{
		"Defaults": {"the API server may be anywhere; scrapers are in the cluster", "replicas=2", map[string]int{"webhooks": 0, "metrics": 1}},
		"Limited":  {"who says where they are", "networkPolicy.webhookFrom[0].ipBlock.cidr=10.0.0.0/8,networkPolicy.metricsFrom[0].podSelector.matchLabels.a=b", map[string]int{"webhooks": 1, "metrics": 1}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, from(c.set)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.reason, diff)
			}
		})
	}
}

// as reads the one object of a kind that is named bonafide.
func as(t *testing.T, manifests, kind string, typed any) {
	t.Helper()
	object := find(objects(t, manifests), kind, "bonafide")
	if object == nil {
		t.Fatalf("expected the %s bonafide, got none", kind)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		t.Fatalf("the %s: %v", kind, err)
	}
}
