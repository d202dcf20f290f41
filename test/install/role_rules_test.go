package install_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A grant is a rule of one of the chart's roles, and where it holds.
type grant struct {
	role      string // "ClusterRole", or "Role" with its name and namespace
	namespace string // of a Role
	name      string // of the rule, by the comment above it in the template
	rule      rbacv1.PolicyRule
}

func (g grant) String() string { return g.role + "/" + g.name }

// grants returns all rules of the server's roles, as the chart renders them with
// further flags of helm template. Comments stay in what Helm renders.
func grants(t *testing.T, flags ...string) []grant {
	t.Helper()
	var all []grant
	for document := range strings.SplitSeq(render(t, append(flags, "--set", "rbac.userRoles=false")...), "\n---\n") {
		object := objects(t, document)[0]
		if kind := object.GetKind(); kind != "ClusterRole" && kind != "Role" {
			continue
		}
		held := rules(t, object)
		names := namesIn(t, object.GetKind(), document)
		if len(names) != len(held) {
			t.Fatalf("%s %s: want a name for each of %d rules, got %q", object.GetKind(), object.GetName(), len(held), names)
		}
		for i, rule := range held {
			g := grant{role: object.GetKind(), namespace: object.GetNamespace(), name: names[i], rule: rule}
			if g.namespace != "" {
				g.role += "." + object.GetName() + "." + g.namespace
			}
			all = append(all, g)
		}
	}
	return all
}

// each returns the single rights that the rule is short for: one verb on one
// resource, and of one name if the rule has names.
func (g grant) each() []grant {
	names := g.rule.ResourceNames
	if len(names) == 0 {
		names = []string{""}
	}
	var all []grant
	for _, group := range g.rule.APIGroups {
		for _, resource := range g.rule.Resources {
			for _, verb := range g.rule.Verbs {
				for _, name := range names {
					one := g
					one.rule = rbacv1.PolicyRule{APIGroups: []string{group}, Resources: []string{resource}, Verbs: []string{verb}}
					one.name = verb + " " + resource
					if name != "" {
						one.rule.ResourceNames = []string{name}
						one.name += " " + name
					}
					all = append(all, one)
				}
			}
		}
	}
	return all
}

// near reports whether the rule is about that kind of object at all. What is not
// near is not asked about.
func (g grant) near(asked authorizationv1.ResourceAttributes) bool {
	resource := asked.Resource
	if asked.Subresource != "" {
		resource += "/" + asked.Subresource
	}
	return slices.Contains(g.rule.APIGroups, asked.Group) && slices.Contains(g.rule.Resources, resource) && slices.Contains(g.rule.Verbs, asked.Verb)
}

// bind gives a user these rights, and no others, by roles of the user's name.
func (w *world) bind(ctx context.Context, user string, granted []grant) error {
	subject := []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: user}}
	places := map[string][]rbacv1.PolicyRule{}
	for _, g := range granted {
		places[g.namespace] = append(places[g.namespace], g.rule)
	}
	rbac := w.Client.RbacV1()
	meta, options := metav1.ObjectMeta{Name: user}, metav1.CreateOptions{}
	for namespace, rules := range places {
		var errs [2]error
		if namespace == "" {
			_, errs[0] = rbac.ClusterRoles().Create(ctx, &rbacv1.ClusterRole{ObjectMeta: meta, Rules: rules}, options)
			_, errs[1] = rbac.ClusterRoleBindings().Create(ctx, &rbacv1.ClusterRoleBinding{
				ObjectMeta: meta, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
			}, options)
		} else {
			_, errs[0] = rbac.Roles(namespace).Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: rules}, options)
			_, errs[1] = rbac.RoleBindings(namespace).Create(ctx, &rbacv1.RoleBinding{
				ObjectMeta: meta, Subjects: subject, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
			}, options)
		}
		if err := errors.Join(errs[:]...); err != nil {
			return fmt.Errorf("give %s rights: %w", user, err)
		}
	}
	return nil
}

// may asks the API server's authorizer.
func (w *world) may(ctx context.Context, user string, asked authorizationv1.ResourceAttributes) (bool, error) {
	review, err := w.Client.AuthorizationV1().SubjectAccessReviews().Create(ctx, &authorizationv1.SubjectAccessReview{
		Spec: authorizationv1.SubjectAccessReviewSpec{User: user, Groups: []string{"system:authenticated"}, ResourceAttributes: &asked},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

// enough checks that the rules permit all that the program did.
func (w *world) enough(t *testing.T, variant string, all []grant, asked []authorizationv1.ResourceAttributes) {
	t.Run("Enough/"+variant, func(t *testing.T) {
		user := "with-" + strings.ToLower(variant)
		if err := w.bind(t.Context(), user, all); err != nil {
			t.Fatal(err)
		}
		for _, a := range asked {
			err := within(t.Context(), settleTime, func(ctx context.Context) error {
				return w.mayOne(ctx, user, []authorizationv1.ResourceAttributes{a})
			})
			if err != nil {
				t.Errorf("want what the program does permitted, got %s %s.%s %s/%s forbidden", a.Verb, a.Resource, a.Group, a.Namespace, a.Name)
			}
		}
	})
}

// needed checks that for each rule, a user who has all the others is forbidden
// something that the program did.
func (w *world) needed(t *testing.T, variant string, all []grant, asked []authorizationv1.ResourceAttributes) {
	for i, g := range all {
		t.Run("Needed/"+variant+"/"+g.String(), func(t *testing.T) {
			user := fmt.Sprintf("without-%s-%d", strings.ToLower(variant), i)
			others := slices.Delete(slices.Clone(all), i, i+1)
			if err := w.bind(t.Context(), user, others); err != nil {
				t.Fatal(err)
			}
			for _, other := range []string{"", g.namespace} { // the authorizer knows the roles of each place by now
				w.awaitPlace(t, user, other, others, asked)
			}
			for _, a := range asked {
				if !g.near(a) {
					continue
				}
				if allowed, err := w.may(t.Context(), user, a); err != nil {
					t.Fatal(err)
				} else if !allowed {
					return
				}
			}
			t.Errorf("want something that the program does forbidden without the rule %v, got nothing", g.rule)
		})
	}
}

// awaitPlace waits until the user's rights of a place are in force: a request
// that one of them is for is permitted.
func (w *world) awaitPlace(t *testing.T, user, namespace string, granted []grant, asked []authorizationv1.ResourceAttributes) {
	t.Helper()
	var mine []authorizationv1.ResourceAttributes
	for _, g := range granted {
		for _, a := range asked {
			if g.namespace == namespace && g.near(a) && (namespace == "" || a.Namespace == namespace) {
				mine = append(mine, a)
			}
		}
	}
	if len(mine) == 0 {
		return // there is nothing to wait for: the rule was the only one of its place
	}
	err := within(t.Context(), featureTime, func(ctx context.Context) error { return w.mayOne(ctx, user, mine) })
	if err != nil {
		t.Fatalf("%s: the other rights are not in force: %v", user, err)
	}
}

// mayOne returns nil if the user may one of the requests.
func (w *world) mayOne(ctx context.Context, user string, asked []authorizationv1.ResourceAttributes) error {
	for _, a := range asked {
		if allowed, err := w.may(ctx, user, a); allowed || err != nil {
			return err
		}
	}
	return fmt.Errorf("expected %s permitted one of %d requests, got none", user, len(asked))
}

// used checks that each single right permits, alone, something that the program
// did.
func (w *world) used(t *testing.T, variant string, all []grant, asked []authorizationv1.ResourceAttributes) {
	for i, g := range all {
		t.Run("Used/"+variant+"/"+g.String(), func(t *testing.T) {
			for j, one := range g.each() {
				user := fmt.Sprintf("only-%s-%d-%d", strings.ToLower(variant), i, j)
				if err := w.bind(t.Context(), user, []grant{one}); err != nil {
					t.Fatal(err)
				}
				var near []authorizationv1.ResourceAttributes
				for _, a := range asked {
					if one.near(a) {
						near = append(near, a)
					}
				}
				wait := settleTime
				if len(near) == 0 {
					wait = 0
				}
				if err := within(t.Context(), wait, func(ctx context.Context) error { return w.mayOne(ctx, user, near) }); err != nil {
					t.Errorf("want the right to %s used, got no request that needs it", one.name)
				}
			}
		})
	}
}

// settleTime is how long the authorizer may take to learn of a role; it watches
// them, and takes milliseconds.
const settleTime = 5 * time.Second
