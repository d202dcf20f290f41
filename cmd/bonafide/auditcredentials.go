package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	authorization "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/bonafide-dev/bonafide/internal/kube"
	"github.com/bonafide-dev/bonafide/internal/kube/credentials"
	"github.com/bonafide-dev/bonafide/registry"
)

// podCredentials reads the pull secrets of Pods and service accounts as far as
// the user may. What the user may not read is passed over, as if it were not
// there, and remembered to be told. It is safe for concurrent use.
type podCredentials struct {
	client *kube.Client
	from   *credentials.Credentials

	mu     sync.Mutex
	may    map[object]bool
	denied map[string]map[string]bool // by resource: the namespaces
}

// object names what is to be read.
type object struct{ resource, namespace, name string }

func newPodCredentials(client *kube.Client) *podCredentials {
	return &podCredentials{
		client: client, from: credentials.New(client.Typed, time.Now), may: map[object]bool{}, denied: map[string]map[string]bool{},
	}
}

// PullSecret implements [registry.SecretGetter].
func (c *podCredentials) PullSecret(ctx context.Context, namespace, name string) ([]byte, error) {
	if !c.mayRead(ctx, object{"secrets", namespace, name}) {
		return nil, nil
	}
	return c.from.PullSecret(ctx, namespace, name)
}

// ServiceAccount returns the names of an account's pull secrets.
func (c *podCredentials) ServiceAccount(ctx context.Context, namespace, name string) ([]string, error) {
	if !c.mayRead(ctx, object{"serviceaccounts", namespace, name}) {
		return nil, nil
	}
	return c.from.ServiceAccount(ctx, namespace, name)
}

// mayRead asks the API server, once, whether the user may get an object. Where it
// does not answer, reading finds out.
func (c *podCredentials) mayRead(ctx context.Context, o object) bool {
	c.mu.Lock()
	may, asked := c.may[o]
	c.mu.Unlock()
	if asked {
		return may
	}
	review := &authorization.SelfSubjectAccessReview{Spec: authorization.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorization.ResourceAttributes{Verb: "get", Resource: o.resource, Namespace: o.namespace, Name: o.name},
	}}
	answer, err := c.client.Typed.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.may[o] = answer.Status.Allowed; !answer.Status.Allowed {
		if c.denied[o.resource] == nil {
			c.denied[o.resource] = map[string]bool{}
		}
		c.denied[o.resource][o.namespace] = true
	}
	return answer.Status.Allowed
}

// maxNamespaces is how many are named in a note.
const maxNamespaces = 3

// notes say what was not read.
func (c *podCredentials) notes(w io.Writer) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, what := range []struct{ resource, lost string }{{"secrets", "pull secrets"}, {"serviceaccounts", "pull secrets of service accounts"}} {
		names := slices.Sorted(maps.Keys(c.denied[what.resource]))
		if len(names) == 0 {
			continue
		}
		where := strings.Join(names[:min(maxNamespaces, len(names))], ", ")
		if more := len(names) - maxNamespaces; more > 0 {
			where += fmt.Sprintf(" and %d more", more)
		}
		fmt.Fprintf(w, "note: %s are not used, since you may not get %s in %s\n", what.lost, what.resource, where)
	}
}

// openRegistry returns the client of registries that the flags ask for.
func (o auditOptions) openRegistry(pods *podCredentials, s streams) (*registry.Client, error) {
	keychain, err := operatorKeychain(registry.PullSecrets{Secrets: pods, ServiceAccount: pods.ServiceAccount}, o.pullSecrets, o.cloud)
	if err != nil {
		return nil, err
	}
	var hosts *registry.Hosts
	if o.registries != "" {
		hosts, err = registry.ReadHosts(o.registries, time.Now, func(err error) { fmt.Fprintf(s.err, "note: --registries: %v\n", err) })
		if err != nil {
			return nil, fmt.Errorf("--registries: %w", err)
		}
	}
	client, err := registry.New(registry.Options{
		Clock: time.Now, Keychain: keychain, Hosts: hosts, InsecureHosts: o.insecure,
		Workstation: true, Proxy: proxy(), UserAgent: "bonafide/" + versionText(),
	})
	if err != nil {
		return nil, fmt.Errorf("--insecure-registry: %w", err)
	}
	return client, nil
}
