//! Opening: RFC 9293 §3.5 and §3.10.7.1 to §3.10.7.3, RFC 5961 where it concerns SYN and RST.
