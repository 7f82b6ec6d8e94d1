# SPDX-License-Identifier: ISC
"""The configurations of the servers of servers_real.py.  {dir}, {www}, {port}, {backend} (the port of
an nginx behind a proxy), {user} and {modules} are filled in."""

APACHE = """
ServerRoot {dir}
ServerName 127.0.0.1
Listen 127.0.0.1:{port}
PidFile {dir}/apache.pid
DefaultRuntimeDir {dir}
ErrorLog {dir}/error.log
{user}
{modules}
StartServers 1
DavLockDB {dir}/dav.lock
DocumentRoot {www}
TypesConfig /dev/null
ForceType text/plain
<Directory {www}>
    Require all granted
</Directory>
# Apache sends chunks only for what it does not have whole: server-side includes come in parts.
<Location /chunked>
    Options +Includes
    SetOutputFilter INCLUDES
</Location>
<Location /until-close>
    Options +Includes
    SetOutputFilter INCLUDES
</Location>
SetEnvIf Request_URI ^/until-close downgrade-1.0
RewriteEngine on
RewriteRule ^/204 - [R=204,L]
RewriteRule ^/redirect /small [R=302,L]
RewriteRule ^/until-close {www}/chunked [L]
RewriteRule ^/post /small [L]
<Location /put>
    Dav on
</Location>
<Location /private>
    AuthType Basic
    AuthName test
    AuthUserFile {dir}/users
    Require valid-user
</Location>
"""

APACHE_MODULES = ("mpm_event", "authn_core", "authn_file", "authz_core", "authz_user", "auth_basic",
                  "dav", "dav_fs", "include", "mime", "rewrite", "setenvif")

LIGHTTPD = """
server.document-root = "{www}"
server.bind = "127.0.0.1"
server.port = {port}
server.errorlog = "{dir}/error.log"
server.modules = ("mod_auth", "mod_authn_file", "mod_cgi")
server.stream-response-body = 1
mimetype.assign = ("" => "text/plain")
$HTTP["url"] =~ "^/cgi-bin/" {{ cgi.assign = ("" => "/bin/sh") }}
auth.backend = "plain"
auth.backend.plain.userfile = "{dir}/plain-users"
auth.require = ("/private" => ("method" => "basic", "realm" => "test", "require" => "valid-user"))
"""

HAPROXY = """
global
    maxconn 200
defaults
    mode http
    timeout connect 5s
    timeout client 50s
    timeout server 50s
listen main
    bind 127.0.0.1:{port}
    server nginx 127.0.0.1:{backend}
"""

# As it streams by default, it is a race whether an answer has chunks or a length.  What it has revalidated (after two minutes,
# by default) has its fields in another order.
VARNISH = """
vcl 4.1;
backend default {{ .host = "127.0.0.1"; .port = "{backend}"; }}
sub vcl_backend_response {{
    set beresp.do_stream = false;
    set beresp.ttl = 1h;
}}
"""

SQUID = """
http_port 127.0.0.1:{port} accel defaultsite=127.0.0.1:{port}
cache_peer 127.0.0.1 parent {backend} 0 no-query originserver login=PASSTHRU name=nginx
cache_peer_access nginx allow all
http_access allow all
cache deny all
access_log none
cache_log {dir}/cache.log
pid_filename none
coredump_dir {dir}
visible_hostname test
shutdown_lifetime 0 seconds
pinger_enable off
{user}
"""

CADDY = """
{{
    admin off
    auto_https off
    storage file_system {dir}/caddy
}}
http://127.0.0.1:{port} {{
    root * {www}
    header /file10k Content-Type text/plain
    header /small Content-Type text/plain
    handle /204 {{
        respond 204
    }}
    redir /redirect /small 302
    @behind path /chunked /until-close /post /put/file
    handle @behind {{
        reverse_proxy 127.0.0.1:{backend}
    }}
    basicauth /private {{
        user $2y$04$zifU4YIFzpNrwvDQwiyr7efBtsZt57grSCnlVhGUiPz4NtAABKL9S
    }}
    handle {{
        file_server
    }}
}}
"""

BUSYBOX = """
A:127.0.0.1
/private:user:secret
.txt:text/plain
"""
