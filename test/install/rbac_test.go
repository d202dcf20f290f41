package install_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
)

// rules returns a role's rules.
func rules(t *testing.T, object *unstructured.Unstructured) []rbacv1.PolicyRule {
	t.Helper()
	var role rbacv1.ClusterRole // a Role has the same fields
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, &role); err != nil {
		t.Fatal(err)
	}
	if len(role.Rules) == 0 {
		t.Errorf("%s %s: want rules, got none", object.GetKind(), object.GetName())
	}
	return role.Rules
}

// roles returns the roles that the chart makes with those values.
func roles(t *testing.T, set string) []*unstructured.Unstructured {
	t.Helper()
	return slices.DeleteFunc(objects(t, render(t, "--set", set)), func(o *unstructured.Unstructured) bool {
		return o.GetKind() != "Role" && o.GetKind() != "ClusterRole"
	})
}

// everything makes every rule of the ClusterRole.
const everything = "rbac.watchSecrets=true"

// variants are values that change what the roles hold.
func variants() []string {
	return []string{"replicas=2", everything, "rbac.secretNamespaces={a},rbac.readPullSecrets=false", "register=false", "observeOnly=true"}
}

func TestNoRuleHasAWildcard(t *testing.T) {
	for _, set := range variants() {
		for _, role := range roles(t, set) {
			for _, rule := range rules(t, role) {
				for _, word := range slices.Concat(rule.APIGroups, rule.Resources, rule.Verbs, rule.ResourceNames, rule.NonResourceURLs) {
					if strings.Contains(word, "*") {
						t.Errorf("--set %s: %s %s: want no wildcard, got %v", set, role.GetKind(), role.GetName(), rule)
					}
				}
			}
		}
	}
}

// TestServerMayNotRaiseItself: what would let it give itself or others more.
func TestServerMayNotRaiseItself(t *testing.T) {
	never := []string{"escalate", "bind", "impersonate", "deletecollection"}
	for _, role := range roles(t, "replicas=2") {
		for _, rule := range rules(t, role) {
			for _, verb := range rule.Verbs {
				if slices.Contains(never, verb) {
					t.Errorf("%s: want no %s, got %v", role.GetName(), verb, rule)
				}
			}
			for _, group := range rule.APIGroups {
				if group == "rbac.authorization.k8s.io" {
					t.Errorf("%s: want no rule about roles, got %v", role.GetName(), rule)
				}
			}
		}
	}
}

func TestServerReadsSecretsAsFarAsTold(t *testing.T) {
	cases := map[string]struct {
		reason, set string
		want        []string // verbs in the ClusterRole
	}{
		"Defaults":  {"pull secrets by name, and no list of all", "replicas=2", []string{"get"}},
		"WatchAll":  {"a policy may name any", everything, []string{"list", "watch", "get"}},
		"NoneAtAll": {"those of some namespaces, by Roles", "rbac.readPullSecrets=false", nil},
		"OnlyWatch": {"keys and no pull secrets", "rbac.readPullSecrets=false,rbac.watchSecrets=true", []string{"list", "watch"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, rule := range rules(t, find(roles(t, c.set), "ClusterRole", "bonafide")) {
				if slices.Contains(rule.Resources, "secrets") {
					got = append(got, rule.Verbs...)
				}
			}
			if !slices.Equal(c.want, got) {
				t.Errorf("%s: want %q, got %q", c.reason, c.want, got)
			}
		})
	}
}

// TestExceptionsAndDenyListsHaveRolesOfTheirOwn: binding them is how an operator
// says who excuses and who stops images. No role of Kubernetes' own takes them in.
func TestExceptionsAndDenyListsHaveRolesOfTheirOwn(t *testing.T) {
	for _, role := range roles(t, "replicas=2") {
		for _, rule := range rules(t, role) {
			writes := slices.Contains(rule.Verbs, "create") && slices.Contains(rule.APIGroups, "bonafide.dev")
			for _, resource := range []string{"verificationexceptions", "imagedenylists", "clusterverificationpolicies"} {
				if !writes || !slices.Contains(rule.Resources, resource) {
					continue
				}
				if len(rule.Resources) != 1 {
					t.Errorf("%s: want %s alone in its rule, got %q", role.GetName(), resource, rule.Resources)
				}
				for label := range role.GetLabels() {
					if strings.Contains(label, "aggregate-to") {
						t.Errorf("%s: want it aggregated to no role, got label %s", role.GetName(), label)
					}
				}
			}
		}
	}
}

// reason is the comment above a rule: its name, and why it is there.
var reason = regexp.MustCompile(`^  # ([a-z]+): .*\.$`)

// ruleNames reads the names of the rules from a role's template. Every rule has
// a comment above it, or above the condition that it stands under.
func ruleNames(t *testing.T, template string) []string {
	t.Helper()
	return namesIn(t, template, string(read(t, chart, "templates", template)))
}

// namesIn reads them from a text: a template, or what Helm made of it.
func namesIn(t *testing.T, template, text string) []string {
	t.Helper()
	var names []string
	above := ""
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "  - apiGroups:") {
			above = line
			continue
		}
		found := reason.FindStringSubmatch(above)
		if found == nil {
			t.Errorf("%s:%d: want a comment with the rule's name and reason above it, got %q", template, i+1, above)
			continue
		}
		names = append(names, found[1])
	}
	return names
}

func TestEveryRuleSaysWhy(t *testing.T) {
	for template, role := range map[string]string{"clusterrole.yaml": "ClusterRole", "role.yaml": "Role", "userroles.yaml": ""} {
		names := ruleNames(t, template)
		if len(names) == 0 {
			t.Errorf("%s: want rules, got none", template)
		}
		if role == "ClusterRole" {
			if got := len(rules(t, find(roles(t, everything), role, "bonafide"))); got != len(names) {
				t.Errorf("%s: want the %d rules of the template rendered, got %d", template, len(names), got)
			}
		}
		seen := map[string]bool{}
		for _, name := range names {
			if seen[name] {
				t.Errorf("%s: %s", template, fmt.Sprintf("the name %q is given twice", name))
			}
			seen[name] = true
		}
	}
}
