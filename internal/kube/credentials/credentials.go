// Package credentials reads from the cluster whose credentials an image is
// pulled with, and tells whose bearer token a caller has.
//
// It reads Secrets of the two docker types and service accounts, by name and
// one at a time; it lists and watches nothing, writes nothing, and never logs.
// Neither a Secret's content nor a token is in an error. The tokens of service
// accounts stay in the cluster: a Secret that holds one is no pull secret.
package credentials

import (
	"context"
	"errors"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/bonafide-dev/bonafide/evidence"
)

const (
	// foundLife is how long what was read is used again: a Secret that changed
	// counts within a minute, as a list of evidence does (TRUST R35).
	foundLife = time.Minute
	// absentLife is shorter, since a Secret is often made or mended just after the
	// workload that names it.
	absentLife = 10 * time.Second
	// maxSecret bounds a pull secret. All of a Pod's together may not be larger
	// where they are matched with its images.
	maxSecret = 256 << 10
	// maxHeld and maxHeldBytes bound what is remembered: whoever makes workloads
	// chooses the names.
	maxHeld      = 4096
	maxHeldBytes = 16 << 20
	// maxReads bounds what is asked of the API server at once, so that a burst
	// of workloads with many secrets leaves it to others; maxReadsOfOne bounds it
	// for one namespace.
	maxReads      = 16
	maxReadsOfOne = 4
	// readTimeout bounds one read. It fits into a webhook's deadline with time
	// left to ask a registry.
	readTimeout = 3 * time.Second
	// maxNames bounds a service account's pull secrets: more than a Pod's are
	// refused when they are read.
	maxNames = 64
)

// Credentials reads pull secrets and service accounts. It is safe for concurrent
// use. Make it with [New].
type Credentials struct {
	client   kubernetes.Interface
	secrets  *cache[[]byte]
	accounts *cache[[]string]
}

// New returns Credentials by the client's identity, which needs to get Secrets
// and service accounts. now is the clock of what is remembered.
func New(client kubernetes.Interface, now func() time.Time) *Credentials {
	reads := newReads()
	return &Credentials{
		client:   client,
		secrets:  newCache(now, reads, func(b []byte) int { return len(b) }),
		accounts: newCache(now, reads, func(names []string) int { return len(names) * maxNameLength }),
	}
}

// maxNameLength is of a Kubernetes object.
const maxNameLength = 253

// PullSecret returns the value of .dockerconfigjson or .dockercfg of a Secret of
// the type that goes with it, or nil if there is no such Secret, which kubelet
// passes over too. It implements SecretGetter of package registry. A Secret of
// another type, or without that value, is refused: the error is a
// *evidence.Problem with reason CredentialsFailed, as it is if the API server
// could not tell.
func (c *Credentials) PullSecret(ctx context.Context, namespace, name string) ([]byte, error) {
	return c.secrets.get(ctx, key{namespace, name}, func(ctx context.Context) (answer[[]byte], error) {
		secret, err := c.client.CoreV1().Secrets(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return answer[[]byte]{}, nil
		}
		if err != nil {
			return answer[[]byte]{}, unreadable("Secret", namespace, name, err)
		}
		config, err := configOf(secret)
		return answer[[]byte]{value: config, found: err == nil, refused: err}, nil
	})
}

// configOf returns what a Secret of a docker type holds. Its type decides, not
// its keys: a Secret of another type was made for another purpose (TRUST R6).
func configOf(s *corev1.Secret) ([]byte, error) {
	var config []byte
	switch s.Type {
	case corev1.SecretTypeDockerConfigJson:
		config = s.Data[corev1.DockerConfigJsonKey]
	case corev1.SecretTypeDockercfg:
		config = s.Data[corev1.DockerConfigKey]
	default:
		return nil, problem("Secret", s.Namespace, s.Name,
			fmt.Sprintf("a Secret of type %s or %s", corev1.SecretTypeDockerConfigJson, corev1.SecretTypeDockercfg), fmt.Sprintf("type %q", s.Type))
	}
	if len(config) == 0 || len(config) > maxSecret {
		return nil, problem("Secret", s.Namespace, s.Name, fmt.Sprintf("1 to %d bytes of docker configuration", maxSecret), fmt.Sprintf("%d", len(config)))
	}
	return config, nil
}

// ServiceAccount returns the names of a service account's pull secrets, none if
// there is no such account. It is the ServiceAccount of PullSecrets in package
// registry. The error is a *evidence.Problem with reason CredentialsFailed.
func (c *Credentials) ServiceAccount(ctx context.Context, namespace, name string) ([]string, error) {
	return c.accounts.get(ctx, key{namespace, name}, func(ctx context.Context) (answer[[]string], error) {
		account, err := c.client.CoreV1().ServiceAccounts(namespace).Get(ctx, name, metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return answer[[]string]{}, nil
		}
		if err != nil {
			return answer[[]string]{}, unreadable("ServiceAccount", namespace, name, err)
		}
		if n := len(account.ImagePullSecrets); n > maxNames {
			return answer[[]string]{refused: problem("ServiceAccount", namespace, name, fmt.Sprintf("at most %d pull secrets", maxNames), fmt.Sprintf("%d", n))}, nil
		}
		names := make([]string, 0, len(account.ImagePullSecrets))
		for _, secret := range account.ImagePullSecrets {
			if secret.Name != "" {
				names = append(names, secret.Name)
			}
		}
		return answer[[]string]{value: names, found: true}, nil
	})
}

// unreadable is for what the API server did not give. Of its answer the reason
// is repeated alone.
func unreadable(kind, namespace, name string, err error) error {
	got := "no answer of the API server"
	if reason := apierrors.ReasonForError(err); reason != metav1.StatusReasonUnknown {
		got = "the API server's answer " + string(reason)
	} else if errors.Is(err, context.DeadlineExceeded) {
		got = "no answer of the API server within " + readTimeout.String()
	}
	return problem(kind, namespace, name, "a "+kind+" that can be read", got)
}

func problem(kind, namespace, name, expected, got string) error {
	return &evidence.Problem{
		Reason: evidence.CredentialsFailed, Path: fmt.Sprintf("%s %s/%s", kind, clip(namespace), clip(name)), Expected: expected, Got: got,
	}
}

// clip bounds a name that may not be one.
func clip(s string) string {
	if len(s) > maxNameLength {
		return s[:maxNameLength] + "…"
	}
	return s
}
