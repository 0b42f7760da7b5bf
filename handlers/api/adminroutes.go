package api

import "net/http"

// aboutAdministration returns the operations for administrators.
func (o *Operations) aboutAdministration() []*Operation {
	const oneUser = "/v1/admin/users/{user}"
	return []*Operation{
		define(o, Operation{
			Method: "admin.user.create", Verb: http.MethodPost, Path: "/v1/admin/users", Status: http.StatusCreated,
			Summary: "Register an account for somebody.", Admin: true, Changes: true,
		}, o.adminUserCreate),
		define(o, Operation{
			Method: "admin.user.list", Verb: http.MethodGet, Path: "/v1/admin/users", Summary: "List all users.", Admin: true,
		}, o.adminUserList),
		define(o, Operation{
			Method: "admin.user.get", Verb: http.MethodGet, Path: oneUser, Summary: "Get an account.", Admin: true,
		}, o.adminUserGet),
		define(o, Operation{
			Method: "admin.user.suspend", Verb: http.MethodPost, Path: oneUser + "/suspend",
			Summary: "Keep a user out; its sockets close.", Admin: true, Changes: true,
		}, o.adminUserSuspend),
		define(o, Operation{
			Method: "admin.user.restore", Verb: http.MethodPost, Path: oneUser + "/restore",
			Summary: "Let a suspended user in again.", Admin: true, Changes: true,
		}, o.adminUserRestore),
		define(o, Operation{
			Method: "admin.user.password", Verb: http.MethodPut, Path: oneUser + "/password",
			Summary: "Replace a user's password; all its sessions end.", Admin: true, Changes: true,
		}, o.adminUserPassword),
		define(o, Operation{
			Method: "admin.user.administrator", Verb: http.MethodPut, Path: oneUser + "/administrator",
			Summary: "Say whether a user may do what administrators do.", Admin: true, Changes: true,
		}, o.adminUserAdministrator),
		define(o, Operation{
			Method: "admin.session.list", Verb: http.MethodGet, Path: oneUser + "/sessions", Summary: "List a user's sessions.", Admin: true,
		}, o.adminSessionList),
		define(o, Operation{
			Method: "admin.session.revoke", Verb: http.MethodDelete, Path: oneUser + "/sessions/{session}",
			Summary: "End a user's session; its sockets close.", Admin: true, Changes: true,
		}, o.adminSessionRevoke),
		define(o, Operation{
			Method: "notice.publish", Verb: http.MethodPost, Path: "/v1/admin/notices", Status: http.StatusCreated,
			Summary: "Tell everyone, some users, or the members of a conversation something.", Admin: true, Changes: true,
		}, o.noticePublish),
		define(o, Operation{
			Method: "notice.list", Verb: http.MethodGet, Path: "/v1/notices", Summary: "List the notices that are for the caller, the newest first.",
		}, o.noticeList),
	}
}
