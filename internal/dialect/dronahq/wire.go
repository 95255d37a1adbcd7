package dronahq

import (
	"roster/internal/id"
)

// assignUserAnswer is the answer of assign_user. Each requested id is in exactly
// one of the lists.
type assignUserAnswer struct {
	GroupID       id.Number `json:"group_id"`
	AssignedUsers []int64   `json:"assigned_users"`
	RemovedUsers  []int64   `json:"removed_users"`
	InvalidUsers  []int64   `json:"invalid_users"`
	FailedUsers   []int64   `json:"failed_users"`
}

// changeGroupAnswer is the answer of change_group, with a user's id of type U and
// groups of type G.
type changeGroupAnswer[U, G any] struct {
	UserID        U           `json:"user_id"`
	AssignedTo    []G         `json:"assigned_to"`
	RemovedFrom   []G         `json:"removed_from"`
	InvalidGroups []any       `json:"invalid_groups"`
	FailedGroups  []id.Number `json:"failed_groups"`
}

// lifecycleAnswer is the answer to activating and deactivating. Each requested
// address is in exactly one of its lists.
type lifecycleAnswer struct {
	Success  []string `json:"users_success"`
	Invalid  []string `json:"users_invalid"`
	NotExist []string `json:"users_not_exist"`
	Failed   []string `json:"users_failed"`
}

// pluginLifecycleAnswer is the same on surface A, where the list of those who are
// not there has had two other names; it goes by all of them.
type pluginLifecycleAnswer struct {
	lifecycleAnswer
	NotExist []string `json:"user_not_exist"`
	NotFound []string `json:"users_not_found"`
	Missing  []string `json:"users_not_exist"`
}

// creationFailure says why a user was not created, or not as it was asked for.
type creationFailure struct {
	Email  string `json:"user_email"`
	Code   string `json:"error_code"`
	Detail string `json:"error_detail"`
}

// userObject is a user (section 2.1), the same on both surfaces.
type userObject struct {
	UserID              id.Number     `json:"user_id"`
	UserName            string        `json:"user_name"`
	UserEmail           string        `json:"user_email"`
	UserDesg            string        `json:"user_desg"`
	UserImageURL        string        `json:"user_image_url"`
	ChannelID           int64         `json:"channel_id"`
	ChannelName         string        `json:"channel_name"`
	AppName             string        `json:"app_name"`
	UserRegDate         string        `json:"user_reg_date"`
	UserLastAppActivity *string       `json:"user_last_app_activity"`
	ExternalIDP         bool          `json:"external_idp"`
	ExternalIDPResponse string        `json:"external_idp_response"`
	IsAdmin             bool          `json:"is_admin"`
	UserGroup           []groupObject `json:"user_group"`
	Stats               statsObject   `json:"stats"`
	IsActive            *bool         `json:"is_active,omitempty"`
}

type groupObject struct {
	ID   id.Number `json:"grp_id"`
	Name string    `json:"grp_name"`
}

type statsObject struct {
	Status           string `json:"status"`
	AvailableContent int64  `json:"available_content"`
	ConsumedContent  int64  `json:"consumed_content"`
	AppTimespent     int64  `json:"app_timespent"`
}

// errorObject is the body of every error (the dialect's contract, section 1.5).
type errorObject struct {
	Error   int    `json:"error"` // the status
	Message string `json:"message"`
	Reason  string `json:"reason"`
}
