package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VerificationException lifts policies from some images for a while.
//
// It is cluster-scoped, so that who may write one is a question of cluster roles
// alone (TRUST R17). It lifts policies that belong to no namespace, and those of
// a namespace only where it names them. It never lifts an ImageDenyList. What is
// lifted is said with each decision, and counted.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=vexc,categories=bonafide
// +kubebuilder:printcolumn:name="Expires",type=string,JSONPath=`.spec.expires`
// +kubebuilder:printcolumn:name="BreakGlass",type=boolean,JSONPath=`.spec.breakGlass`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="State",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type VerificationException struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata"`

	// Spec says from which images policies are lifted, why and until when. Required.
	Spec VerificationExceptionSpec `json:"spec"`
	// Status says what the controller made of the object. Only the controller
	// writes it; a reader of files MUST ignore it.
	//
	// +optional
	Status RulingStatus `json:"status,omitzero"`
}

// VerificationExceptionSpec says from which images which policies are lifted,
// why and until when.
//
// +kubebuilder:validation:XValidation:rule="!('**' in self.images) || (has(self.breakGlass) && self.breakGlass)",message="an exception for every image (**) is for an emergency: it needs breakGlass: true"
type VerificationExceptionSpec struct {
	// Images are the images that are excepted: digests (sha256: and 64
	// hexadecimal digits), which except that image in any repository, or patterns
	// of repositories without tag, such as ghcr.io/acme/app or ghcr.io/acme/**. A
	// tag is refused: whoever can move it could choose what is excepted (TRUST
	// R13).
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +listType=set
	Images []DigestOrRepository `json:"images"`

	// Match narrows the exception to workloads. Omitted, the images are excepted
	// wherever they run.
	//
	// +optional
	Match *ExceptionMatch `json:"match,omitempty"`

	// Policies are those that are lifted: name for a policy that belongs to no
	// namespace, namespace/name for a VerificationPolicy. Default: every one that
	// belongs to no namespace. There are no wildcards.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=317
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('*')",message="policies are names without wildcards: leave policies out to lift all that belong to no namespace"
	// +listType=set
	Policies []string `json:"policies,omitempty"`

	// Reason says to people why the exception was made. It appears with every
	// decision that the exception changes.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=1024
	// +kubebuilder:validation:XValidation:rule="self.matches('[^ \\t\\n]')",message="the reason is for those who meet the consequences: expected words, got blanks"
	Reason string `json:"reason"`

	// Expires is when the exception ends: at most 90 days after it was created,
	// and at most 24 hours with breakGlass. From then on it is void. One that
	// asks for longer is void from the start.
	Expires metav1.Time `json:"expires"`

	// BreakGlass marks an emergency: at most 24 hours, and an Event, a metric
	// and a line in the log at each use. Default false.
	//
	// +optional
	BreakGlass bool `json:"breakGlass,omitempty"`
}

// ExceptionMatch narrows an exception. At least one field MUST be set, and every
// one that is must hold.
//
// +kubebuilder:validation:XValidation:rule="has(self.namespaces) || has(self.workloads)",message="at least one of namespaces and workloads: leave match out to except the images wherever they run"
type ExceptionMatch struct {
	// Namespaces are names of namespaces. There are no wildcards. Where a door
	// carries no namespace the exception does not apply: doubt never excepts.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +kubebuilder:validation:items:XValidation:rule="!self.contains('*')",message="namespaces are names without wildcards"
	// +listType=set
	Namespaces []string `json:"namespaces,omitempty"`

	// Workloads are the objects whose images are excepted. One of them must be
	// meant. They are the very objects that are decided: a Pod that a Deployment
	// makes is a Pod with a name of its own.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=atomic
	Workloads []ExceptedWorkload `json:"workloads,omitempty"`
}

// ExceptedWorkload is an object of a kind that holds images. A name is whoever
// creates the object's to choose: name namespaces too, where not everybody who
// can create it may use the exception (TRUST R46).
type ExceptedWorkload struct {
	// Kind is the object's kind, such as Deployment or Pod.
	//
	// +kubebuilder:validation:Enum=Pod;PodTemplate;ReplicationController;ReplicaSet;Deployment;StatefulSet;DaemonSet;Job;CronJob
	Kind string `json:"kind"`

	// Name is the object's name. `*` at its end stands for any characters, as
	// the names of Pods end in some that are generated.
	//
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$|^[a-z0-9][a-z0-9.-]*\*$`
	Name string `json:"name"`
}

// DigestOrRepository is the digest of an image, or a pattern of repositories
// without tag.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=1024
// +kubebuilder:validation:XValidation:rule="self.matches('^sha256:[0-9a-f]{64}$') || !self.matches('@|:[^/]*$')",message="an image is named by a digest (sha256: and 64 hexadecimal digits) or by a repository pattern without tag, such as ghcr.io/acme/app or ghcr.io/acme/**"
type DigestOrRepository = string

// VerificationExceptionList is a list of VerificationException.
//
// +kubebuilder:object:root=true
type VerificationExceptionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata"`

	Items []VerificationException `json:"items"`
}
