package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// VerificationPolicySpec is the body of both native kinds.
//
// +kubebuilder:validation:XValidation:rule="!has(self.platforms) || self.platform == 'Each'",message="platforms needs platform: Each beside it"
// +kubebuilder:validation:XValidation:rule="!has(self.pinKinds) || self.pin == 'Digest'",message="pinKinds says what is pinned: leave it out with pin: None"
// +kubebuilder:validation:XValidation:rule="self.platform == 'Each' || self.require.all(r, !r.?attestation.?embedded.orValue(false))",message="attestation.embedded needs platform: Each: a statement in an index is about one platform"
type VerificationPolicySpec struct {
	// Match selects requests. Omitted, the policy applies to every workload in
	// its scope.
	//
	// +optional
	Match *Match `json:"match,omitempty"`

	// Images are patterns of the images that the policy is about. At least one
	// is required: a policy about no image would read as protection and be none
	// (TRUST R48). The host and the path of a pattern match apart; `*` stays
	// within a path segment and `**` crosses segments (TRUST R12).
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +listType=set
	Images []string `json:"images"`

	// Exclude are patterns of images that Images selects and the policy is not
	// about. An exclusion MUST match exactly the form that it names; a tag beside
	// a digest satisfies none (TRUST R12, R13).
	//
	// +optional
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=1024
	// +listType=set
	Exclude []string `json:"exclude,omitempty"`

	// Mode says what a refusal does. Default Enforce; the others are weakenings
	// that show in status, log and metrics (TRUST R19).
	//
	// +optional
	// +kubebuilder:default=Enforce
	Mode Mode `json:"mode,omitempty"`

	// OnUndecided says what an enforcing policy does when it could not be told
	// whether its requirements hold, as when a registry is down. Default Deny;
	// the others are weakenings (TRUST R41).
	//
	// +optional
	// +kubebuilder:default=Deny
	OnUndecided OnUndecided `json:"onUndecided,omitempty"`

	// AllowAuthorOptOut admits that whoever writes a workload can write it so
	// that this policy does not apply. An enforcing cluster policy that selects
	// by objectSelector, by conditions, or by kinds that leave out Pod MUST set
	// it, or is refused (TRUST R16). Default false.
	//
	// +optional
	AllowAuthorOptOut bool `json:"allowAuthorOptOut,omitempty"`

	// Pin says whether an allowed image is rewritten to the digest that was
	// verified: name:tag@sha256:…, the tag kept. Default Digest. Only mode
	// Enforce pins (TRUST R40).
	//
	// +optional
	// +kubebuilder:default=Digest
	Pin Pin `json:"pin,omitempty"`

	// PinKinds are the kinds that are pinned. Default: wherever the image is
	// decided. [Pod] leaves workload templates as GitOps tools wrote them.
	//
	// +optional
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:Enum=Pod;PodTemplate;ReplicationController;ReplicaSet;Deployment;StatefulSet;DaemonSet;Job;CronJob
	// +listType=set
	PinKinds []string `json:"pinKinds,omitempty"`

	// Platform says of which digests of a multi-platform image Require must hold.
	// Default Index: of the one that the reference resolves to. Each: of that of
	// every platform that may run (TRUST R31); where the image is for one platform
	// alone there is no difference.
	//
	// +optional
	// +kubebuilder:default=Index
	Platform PlatformChoice `json:"platform,omitempty"`

	// Platforms are the platforms that count under Each, such as linux/amd64 or
	// linux/arm/v7. Each of them must be there. It is a weakening: nobody looks at
	// what runs on another platform. Default: all.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:MaxLength=100
	// +listType=set
	Platforms []string `json:"platforms,omitempty"`

	// Signers are the parties that Require names. Every one MUST be used, by
	// Require or by a group that is used.
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=100
	// +listType=map
	// +listMapKey=name
	Signers []Signer `json:"signers"`

	// Require are the requirements. Every item must hold; at least one is
	// required (TRUST R48).
	//
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=50
	// +listType=atomic
	Require []Requirement `json:"require"`
}

// Match selects requests. Every field that is set must hold. Where a door
// carries no namespace, or no object, the fields that look at it hold: doubt
// includes.
//
// +kubebuilder:validation:XValidation:rule="!has(self.conditions)",message="match.conditions is not supported yet"
type Match struct {
	// Namespaces are names of namespaces, in which `*` stands for any number of
	// characters. Not for a VerificationPolicy.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=1000
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=63
	// +listType=set
	Namespaces []string `json:"namespaces,omitempty"`

	// NamespaceSelector selects by the labels of the namespace. It needs a
	// cluster: without one the policy is refused. Not for a VerificationPolicy.
	//
	// +optional
	NamespaceSelector *metav1.LabelSelector `json:"namespaceSelector,omitempty"`

	// ObjectSelector selects by the labels of the object, which its author
	// writes: see allowAuthorOptOut (TRUST R16).
	//
	// +optional
	ObjectSelector *metav1.LabelSelector `json:"objectSelector,omitempty"`

	// Kinds are the kinds of object whose images are decided, such as Pod or
	// Deployment. Kinds that leave out Pod let an author choose a kind that is
	// not decided: see allowAuthorOptOut (TRUST R16).
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +kubebuilder:validation:items:Enum=Pod;PodTemplate;ReplicationController;ReplicaSet;Deployment;StatefulSet;DaemonSet;Job;CronJob
	// +listType=set
	Kinds []string `json:"kinds,omitempty"`

	// Conditions are CEL expressions over the request. Not supported yet.
	//
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=20
	// +listType=atomic
	Conditions []string `json:"conditions,omitempty"`
}

// Mode says what a refusal does.
//
// +kubebuilder:validation:Enum=Enforce;Warn;Audit
type Mode string

// The modes.
const (
	ModeEnforce Mode = "Enforce" // the workload is refused
	ModeWarn    Mode = "Warn"    // it is admitted, and its author is told
	ModeAudit   Mode = "Audit"   // it is admitted, and counted
)

// OnUndecided says what an enforcing policy does when it could not be told.
//
// +kubebuilder:validation:Enum=Deny;AllowIfProvenBefore;Allow
type OnUndecided string

// The choices.
const (
	// OnUndecidedDeny refuses.
	OnUndecidedDeny OnUndecided = "Deny"
	// OnUndecidedAllowIfProvenBefore admits an image whose proofs held within
	// the last day and have not expired since (TRUST R35).
	OnUndecidedAllowIfProvenBefore OnUndecided = "AllowIfProvenBefore"
	// OnUndecidedAllow admits during an outage of a registry that the operator
	// has named, and on nothing else (TRUST R41).
	OnUndecidedAllow OnUndecided = "Allow"
)

// Pin says whether an allowed image is rewritten to its digest.
//
// +kubebuilder:validation:Enum=Digest;None
type Pin string

// The choices.
const (
	PinDigest Pin = "Digest"
	PinNone   Pin = "None" // a tag that moves afterwards is not noticed
)

// PlatformChoice says of which digests of a multi-platform image the requirements
// must hold.
//
// +kubebuilder:validation:Enum=Index;Each
type PlatformChoice string

// The choices.
const (
	PlatformIndex PlatformChoice = "Index"
	PlatformEach  PlatformChoice = "Each"
)
