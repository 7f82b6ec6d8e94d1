/* SPDX-License-Identifier: ISC */
#include "tls/controls.h"

#include "tls/openssl.h"

/* Numbers of SSL_CTX_ctrl(3), as include/openssl/ssl.h has them. */
bool controls_asks_connection(int cmd)
{
    switch (cmd) {
    case 10:  /* SSL_num_renegotiations */
    case 12:  /* SSL_total_renegotiations */
    case 70:  /* SSL_get_tlsext_status_ocsp_resp */
    case 76:  /* SSL_get_secure_renegotiation_support */
    case 90:  /* SSL_get1_groups */
    case 93:  /* SSL_get_shared_group */
    case 108: /* SSL_get_peer_signature_nid */
    case 109: /* SSL_get_peer_tmp_key */
    case 110: /* SSL_get0_raw_cipherlist */
    case 111: /* SSL_get0_ec_point_formats */
    case 122: /* SSL_get_extms_support */
    case 132: /* SSL_get_signature_nid */
    case 133: /* SSL_get_tmp_key */
    case 134: /* SSL_get_negotiated_group */
        return true;
    default:
        return false;
    }
}

/* What these set is asked for before the handshake, is in the ClientHello, or is about certificates and the server's side. */
bool controls_is_harmless_before(int cmd)
{
    switch (cmd) {
    case 3:   /* SSL_set_tmp_dh */
    case 14:  /* SSL_CTX_add_extra_chain_cert */
    case 20 ... 31: /* SSL_CTX_sess_number and its kind */
    case 32:  /* SSL_set_options, as it was */
    case 33:  /* SSL_set_mode */
    case 40:  /* SSL_get_read_ahead */
    case 41:  /* SSL_CTX_set_read_ahead */
    case 42:  /* SSL_CTX_sess_set_cache_size */
    case 43:  /* SSL_CTX_sess_get_cache_size */
    case 44:  /* SSL_CTX_set_session_cache_mode */
    case 45:  /* SSL_CTX_get_session_cache_mode */
    case 54:  /* SSL_CTX_set_tlsext_servername_arg */
    case 55:  /* SSL_set_tlsext_host_name */
    case 58:  /* SSL_CTX_get_tlsext_ticket_keys */
    case 59:  /* SSL_CTX_set_tlsext_ticket_keys */
    case 64:  /* SSL_CTX_set_tlsext_status_arg */
    case 65:  /* SSL_set_tlsext_status_type: see verify_status */
    case 78:  /* SSL_clear_mode */
    case 91:  /* SSL_set1_groups */
    case 92:  /* SSL_set1_groups_list */
    case 94:  /* SSL_set_ecdh_auto */
    case 97:  /* SSL_set1_sigalgs */
    case 98:  /* SSL_set1_sigalgs_list */
    case 106: /* SSL_set0_verify_cert_store */
    case 107: /* SSL_set0_chain_cert_store */
    case 118: /* SSL_set_dh_auto */
    case 123: /* SSL_set_min_proto_version */
    case 124: /* SSL_set_max_proto_version */
    case 127: /* SSL_get_tlsext_status_type */
    case 128: /* SSL_CTX_get_tlsext_status_cb */
    case 129: /* SSL_CTX_get_tlsext_status_arg */
    case 130: /* SSL_get_min_proto_version */
    case 131: /* SSL_get_max_proto_version */
    case 137: /* SSL_get0_verify_cert_store */
    case 138: /* SSL_get0_chain_cert_store */
        return true;
    default:
        return false;
    }
}

bool controls_only_asks(int cmd, long number)
{
    return cmd == 40 || cmd == 127 || cmd == 130 || cmd == 131 || cmd == 137 || cmd == 138 ||
           ((cmd == CTRL_MODE || cmd == 32) && number == 0);
}
